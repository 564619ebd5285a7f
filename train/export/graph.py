"""From a trained network to a self-contained ONNX graph with bytes at both ends.

`frames: (N, H, W, 3) uint8 BGR` → `probability: (N, H, W) uint8`, 255 = polyp; N is symbolic. Everything
between, from normalisation to sigmoid, is in the graph, so that all backends compute the same thing.
"""

import contextlib
import copy
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from torch import nn

from rtpolyp.errors import InputError

__all__ = ["INPUT", "OUTPUT", "ByteNetwork", "half_weights", "shapes_of", "to_onnx"]

INPUT, OUTPUT = "frames", "probability"
OPSET = 18
SMALLEST_HALVED = 256  # elements; smaller initialisers are biases and constants, which weigh nothing


class ByteNetwork(nn.Module):
    """A network between bytes: what is exported.

    The normalisation's scale and the change from BGR to RGB are folded into the first convolution, or into
    each that reads the image, as a residual stem's two do. The mean is subtracted, not folded into the bias:
    padding is zero *after* normalisation, and a bias would be right everywhere but at the border. One
    subtraction is exact for any mean; padding with the mean beforehand would need a constant per channel,
    which ONNX's Pad does not have.
    """

    mean_bgr: torch.Tensor

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        with torch.no_grad():
            for stem in _first_convolutions(self.network):
                stem.weight.copy_((stem.weight / torch.tensor(std)[:, None, None]).flip(1))
        self.register_buffer("mean_bgr", torch.tensor(mean).flip(0)[:, None, None])
        fold = getattr(self.network, "fold", None)
        if fold is not None:
            fold()

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """`frames: (N, H, W, 3) uint8 BGR` → `(N, H, W) uint8` probability times 255, rounded."""
        # uint8 meets a cast first and leaves one last: TensorRT takes it in no other place
        images = frames.float().permute(0, 3, 1, 2) - self.mean_bgr
        probability = torch.sigmoid(self.network(images)).squeeze(1)
        return (probability * 255 + 0.5).clamp(0, 255).to(torch.uint8)


def to_onnx(network: ByteNetwork, size: tuple[int, int]) -> onnx.ModelProto:
    """The graph for frames of `size` = (width, height): opset 18, no batch norm left, only N symbolic."""
    width, height = size
    example = torch.zeros(2, height, width, 3, dtype=torch.uint8)
    with _quiet(), tempfile.TemporaryDirectory() as folder:
        program = torch.onnx.export(
            network.eval(),
            (example,),
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes={"frames": {0: torch.export.Dim("N")}},
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
        path = Path(folder) / "model.onnx"
        if program is None:  # only without dynamo
            raise TypeError("the exporter gave no program")
        program.save(path, external_data=False)
        model = onnx.load(path)
    _unfused_norms(model)
    _constant_scales(model)
    _remove_unused(model)
    _strip_traces(model)
    onnx.checker.check_model(model, full_check=True)
    if leftover := {node.op_type for node in model.graph.node} & {"BatchNormalization", "Shape", "GatherND"}:
        raise InputError(
            f"{', '.join(sorted(leftover))} left in the exported graph: write the network without"
        )
    return model


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weights stored as FP16 and cast back to FP32: half the file.

    Backends fold the casts while loading, so nothing else changes than that weights are rounded to 11 bits.
    """
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    casts = []
    for initializer in halved.graph.initializer:
        values = numpy_helper.to_array(initializer)
        if values.dtype != np.float32 or values.size < SMALLEST_HALVED:
            continue
        name, stored = initializer.name, f"{initializer.name}.fp16"
        initializer.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *halved.graph.node]
    del halved.graph.node[:]
    halved.graph.node.extend(nodes)
    return halved


def shapes_of(model: onnx.ModelProto) -> dict[str, list[int]]:
    """The shape of what each node writes, by its name; 0 for the batch."""
    return {
        value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(model, data_prop=True).graph.value_info
    }


def _first_convolutions(network: nn.Module) -> list[nn.Conv2d]:
    """The convolutions that read the images themselves."""
    images = torch.zeros(1, 3, 64, 64)
    readers: list[nn.Conv2d] = []

    def note(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if inputs[0] is images:
            readers.append(cast(nn.Conv2d, module))

    hooks = [
        module.register_forward_pre_hook(note)
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    if not readers:
        raise InputError(
            f"{type(network).__name__}: no convolution reads the image; normalisation has none to fold into"
        )
    return readers


def _constant_scales(model: onnx.ModelProto) -> None:
    """Give each Resize constant scales: the exporter computes sizes from the symbolic batch at run time."""
    shapes = shapes_of(model)
    for node in model.graph.node:
        if node.op_type != "Resize":
            continue
        before, after = shapes[node.input[0]][2:], shapes[node.output[0]][2:]
        scales = np.array([1, 1, *(to / of for to, of in zip(after, before, strict=True))], np.float32)
        name = f"{node.output[0]}.scales"
        model.graph.initializer.append(numpy_helper.from_array(scales, name))
        source = node.input[0]
        del node.input[:]
        node.input.extend([source, "", name])


def _unfused_norms(model: onnx.ModelProto) -> None:
    """Write batch norms that no convolution precedes, as in pre-activated blocks, as x · scale + shift."""
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    nodes = []
    for node in model.graph.node:
        if node.op_type != "BatchNormalization":
            nodes.append(node)
            continue
        weight, bias, mean, variance = (constants[name].astype(np.float64) for name in node.input[1:])
        (epsilon,) = (attribute.f for attribute in node.attribute if attribute.name == "epsilon")
        scale = weight / np.sqrt(variance + epsilon)
        name, scaled = node.output[0], f"{node.output[0]}.scaled"
        for part, values in (("scale", scale), ("shift", bias - mean * scale)):
            tensor = numpy_helper.from_array(values.astype(np.float32)[:, None, None], f"{name}.{part}")
            model.graph.initializer.append(tensor)
        nodes.append(helper.make_node("Mul", [node.input[0], f"{name}.scale"], [scaled]))
        nodes.append(helper.make_node("Add", [scaled, f"{name}.shift"], [name]))
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _remove_unused(model: onnx.ModelProto) -> None:
    """Drop nodes and initialisers that nothing reads any more."""
    needed = {output.name for output in model.graph.output}
    kept = []
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    initializers = [tensor for tensor in model.graph.initializer if tensor.name in needed]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(reversed(kept))
    model.graph.initializer.extend(initializers)


def _strip_traces(model: onnx.ModelProto) -> None:
    """Remove the exporter's stack traces, which hold file paths of this machine, and its shape notes."""
    graph = model.graph
    del graph.value_info[:]
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what the exporter prints, logs and warns about itself."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            open(os.devnull, "w") as nowhere,
            contextlib.redirect_stdout(nowhere),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
