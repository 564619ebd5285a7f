"""BACKENDS: everything that runs a network, in the order in which "auto" prefers it."""

from rtpolyp.inference.backend import Backend
from rtpolyp.inference.onnxruntime import ONNX_RUNTIME, ONNX_RUNTIME_CUDA
from rtpolyp.inference.openvino import OPENVINO
from rtpolyp.inference.tensorrt.backend import TENSORRT

__all__ = ["BACKENDS", "PRECISIONS"]

_PREFERRED: tuple[Backend, ...] = (
    TENSORRT,
    ONNX_RUNTIME_CUDA,
    OPENVINO,
    ONNX_RUNTIME,
)
BACKENDS: dict[str, Backend] = {backend.name: backend for backend in _PREFERRED}
_ORDER = ("fp32", "fp16", "bf16", "int8")
PRECISIONS = tuple(  # that any backend can compute in
    sorted({name for backend in _PREFERRED for name in backend.precisions}, key=_ORDER.index)
)
