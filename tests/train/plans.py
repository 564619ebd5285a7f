"""A network's graph becomes a real plan, as scripts/build_engine.py makes it."""

import onnx

from rtpolyp.inference.tensorrt.build import BuildConfig, Built, build_plan
from rtpolyp.inference.tensorrt.flavour import Library
from rtpolyp.inference.tensorrt.typed_onnx import check_typed, typed_graph

__all__ = ["as_plan"]


def as_plan(graph: onnx.ModelProto, library: Library) -> Built:
    """Type it in FP16, check it, build it for a batch that varies."""
    typed = typed_graph(graph, "fp16")
    check_typed(typed, "fp16")
    built = build_plan(library, typed.SerializeToString(), BuildConfig(batch=(1, 2, 4)))
    assert built.content[:4] == b"vtrt"
    convolutions = {name: kinds.get("convolution", 0) for name, kinds in built.operations.items()}
    assert {name for name, count in convolutions.items() if count} == {"fp16"}
    return built
