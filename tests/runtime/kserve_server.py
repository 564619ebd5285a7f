"""A small server of KServe's protocol v2 by gRPC and HTTP, in a process of its own: for clients' tests.

It speaks through the protocol's own generated code (tritonclient ships the servicer), but has no batching, no
queue and no second model. A real Triton server is in tests/runtime/serving.
"""

import argparse
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
MODEL = "tiny"
MOST_FRAMES = 8
JSON_LENGTH = "Inference-Header-Content-Length"


class Ports(NamedTuple):
    grpc: int
    http: int


ANY = Ports(0, 0)


class Server(NamedTuple):
    process: "subprocess.Popen[str]"
    ports: Ports

    def url(self, scheme: str = "grpc", host: str = "127.0.0.1", model: str = MODEL) -> str:
        return f"{scheme}://{host}:{getattr(self.ports, scheme.removesuffix('s'))}/{model}"


@contextlib.contextmanager
def kserve_server(bundle: Path, *options: object, ports: Ports = ANY) -> Iterator[Server]:
    """Serve a bundle until the end of the block; `options` are those of the command line below."""
    command = [sys.executable, "-m", "tests.runtime.kserve_server", str(bundle), *map(str, ports)]
    process = subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.PIPE, text=True, cwd=ROOT, bufsize=1
    )
    with process:
        try:
            yield Server(process, Ports(*json.loads(process.stdout.readline())))
        finally:
            process.kill()


class Model:
    """A bundle behind the protocol."""

    def __init__(self, bundle: Path, options: argparse.Namespace) -> None:
        import dataclasses

        from rtpolyp.inference.bundle import load_bundle
        from rtpolyp.inference.openvino import OpenVinoEngine

        self.options = options
        self.engine = OpenVinoEngine(load_bundle(bundle), optimise_for="throughput", batch=MOST_FRAMES)
        spec = self.engine.spec
        told = dataclasses.asdict(spec) | {"threshold": options.threshold}
        sides = [int(side) for side in (options.sides or f"{spec.height},{spec.width}").split(",")]
        self.config: dict[str, Any] = {
            "name": MODEL,
            "max_batch_size": MOST_FRAMES,
            "input": [{"name": spec.input_name, "data_type": "TYPE_UINT8", "dims": [*sides, 3]}],
            "output": [{"name": spec.output_name, "data_type": "TYPE_UINT8", "dims": sides}],
            "parameters": {"rtpolyp_spec": {"string_value": json.dumps(told)}},
        }

    def infer(self, pixels: bytes, shape: list[int]) -> Any:
        import numpy as np

        from rtpolyp.errors import EngineBusy

        time.sleep(self.options.delay)
        frames = np.frombuffer(pixels, np.uint8).reshape(shape)
        while True:
            with contextlib.suppress(EngineBusy):
                return self.engine.submit(frames).result(10).probability
            time.sleep(0.001)

    def admits(self, header: str | None) -> bool:
        return self.options.token is None or header == f"Bearer {self.options.token}"


def serve_grpc(model: Model, port: int) -> tuple[Any, int]:
    import grpc
    from google.protobuf import json_format
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    class Servicer(service_pb2_grpc.GRPCInferenceServiceServicer):
        def admit(self, name: str, context: Any) -> None:
            if not model.admits(dict(context.invocation_metadata()).get("authorization")):
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "a token is needed")
            if name != MODEL:
                context.abort(grpc.StatusCode.NOT_FOUND, f"Request for unknown model: '{name}' is not found")

        def ModelConfig(self, request: Any, context: Any) -> Any:  # the protocol's name
            self.admit(request.name, context)
            answer = service_pb2.ModelConfigResponse()
            json_format.ParseDict(model.config, answer.config)
            return answer

        def ModelInfer(self, request: Any, context: Any) -> Any:
            self.admit(request.model_name, context)
            probability = model.infer(request.raw_input_contents[0], list(request.inputs[0].shape))
            answer = service_pb2.ModelInferResponse(model_name=MODEL)
            answer.outputs.add(name=request.outputs[0].name, datatype="UINT8", shape=probability.shape)
            answer.raw_output_contents.append(probability.tobytes())
            return answer

    server = grpc.server(ThreadPoolExecutor(8))
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(Servicer(), server)
    address, options = f"127.0.0.1:{port}", model.options
    if options.key:
        pair = options.key.read_bytes(), options.certificate.read_bytes()
        port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
    else:
        port = server.add_insecure_port(address)
    server.start()
    return server, port


def serve_http(model: Model, port: int) -> tuple[Any, int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: object) -> None:
            pass

        def answer(self, status: int, content: dict[str, Any], tensor: bytes = b"") -> None:
            head = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(head) + len(tensor)))
            if tensor:
                self.send_header(JSON_LENGTH, str(len(head)))
            self.end_headers()
            self.wfile.write(head + tensor)

        def admits(self, call: str) -> bool:
            if not model.admits(self.headers.get("Authorization")):
                self.answer(401, {"error": "a token is needed"})
            elif self.path != f"/v2/models/{MODEL}/{call}":
                self.answer(400, {"error": "Request for unknown model is not found"})
            else:
                return True
            return False

        def do_GET(self) -> None:  # the library's name
            if self.admits("config"):
                self.answer(200, model.config)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.admits("infer"):
                length = int(self.headers[JSON_LENGTH])
                request = json.loads(body[:length])
                probability = model.infer(body[length:], request["inputs"][0]["shape"])
                name = request["outputs"][0]["name"]
                output = {"name": name, "datatype": "UINT8", "shape": probability.shape}
                self.answer(200, {"outputs": [output]}, probability.tobytes())

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    if model.options.key:
        import ssl

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(model.options.certificate, model.options.key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    return server, server.server_address[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("bundle", type=Path)
    parser.add_argument("grpc", type=int)
    parser.add_argument("http", type=int)
    parser.add_argument("--token")
    parser.add_argument("--key", type=Path)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--sides", help="HEIGHT,WIDTH of the tensors, whatever the spec says")
    parser.add_argument("--threshold", type=float, default=0.5)
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    model = Model(options.bundle, options)
    _, grpc_port = serve_grpc(model, options.grpc)
    http, http_port = serve_http(model, options.http)
    print(json.dumps([grpc_port, http_port]), flush=True)
    http.serve_forever()


if __name__ == "__main__":
    main()
