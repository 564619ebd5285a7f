"""An engine on a server: KServe's inference protocol v2, over gRPC or HTTP."""
