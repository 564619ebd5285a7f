"""TensorRT and TensorRT for RTX: from the bundle's graph to a plan, and a plan on CUDA streams."""
