"""A real, tiny convolutional network as a bundle, for tests that need an engine but no trained weights.

It outlines what is red: a 3×3 convolution at stride 2 measures redness, a 1×1 turns it into a logit, and the
logit map is resized to the input. Ends are those of every bundle: uint8 BGR NHWC in, uint8 probability out.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from rtpolyp.spec import EngineSpec, sha256_of, write_spec

MEAN_BGR = np.float32([90, 100, 140])  # about an endoscope's picture
HIDDEN = 8
PIXEL_SCALE = 1.2  # grey levels per INT8 step of the normalised input


def write_tiny_bundle(folder: Path, size: tuple[int, int] = (96, 64), *, breakable: bool = False) -> Path:
    """Write `model.onnx`, `model.int8.onnx` and `spec.json` for inputs of `size` = (width, height).

    A `breakable` network fails inside the backend when a frame's first byte is 255.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
    for precision, file in files.items():
        onnx.save(tiny_model(size, quantised=precision == "int8", breakable=breakable), folder / file)
    spec = EngineSpec(
        name=folder.name,
        network="tiny",
        encoder="none",
        height=size[1],
        width=size[0],
        threshold=0.5,
        minimum_area=0.0,
        minimum_confidence=0.0,
        files=files,
        sha256={file: sha256_of(folder / file) for file in files.values()},
    )
    write_spec(spec, folder / "spec.json")
    return folder


def tiny_model(size: tuple[int, int], *, quantised: bool = False, breakable: bool = False) -> onnx.ModelProto:
    """The network as ONNX; `quantised` puts Q/DQ pairs around its first convolution."""
    width, height = size
    constants = {
        "mean": MEAN_BGR.reshape(1, 3, 1, 1),
        "stem": _stem_weights(),
        "head": np.float32([6, -6, *[0.02] * (HIDDEN - 2)]).reshape(1, HIDDEN, 1, 1),
        "bias": np.float32([-3]),
        "scales": np.float32([1, 1, 2, 2]),
        "one": np.int64([1]),
        "levels": np.float32(255),
        "half": np.float32(0.5),
        "zero": np.float32(0),
    }
    node = helper.make_node
    nodes = [
        node("Cast", ["frames"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["planes"], perm=[0, 3, 1, 2]),
        node("Sub", ["planes", "mean"], ["pixels"]),
        node("Conv", ["pixels", "stem"], ["features"], strides=[2, 2], pads=[0, 0, 1, 1]),
        node("Relu", ["features"], ["rectified"]),
        node("Conv", ["rectified", "head", "bias"], ["small"]),
        node("Resize", ["small", "", "scales"], ["logits"], mode="linear"),
        node("Sigmoid", ["logits"], ["sigmoid"]),
        node("Mul", ["sigmoid", "levels"], ["scaled"]),
        node("Add", ["scaled", "half"], ["rounded"]),
        node("Clip", ["rounded", "zero", "levels"], ["clipped"]),
        node("Squeeze", ["clipped", "one"], ["map"]),
        node("Cast", ["map"], ["probability"], to=TensorProto.UINT8),
    ]
    if breakable:
        nodes[6:7] = _break_on_white(constants, height, width)
    if quantised:
        nodes[3:4] = _quantised_stem(constants)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", height, width, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, ["N", height, width])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def red_square(
    size: tuple[int, int] = (96, 64), corner: tuple[int, int] = (40, 20), side: int = 24
) -> np.ndarray:
    """A frame `(H, W, 3) uint8 BGR` of mucosa's colour with one square that the network outlines."""
    frame = np.empty((size[1], size[0], 3), np.uint8)
    frame[:] = MEAN_BGR
    x, y = corner
    frame[y : y + side, x : x + side] = (60, 60, 230)
    return frame


def _stem_weights() -> np.ndarray:
    """(HIDDEN, 3, 3, 3): red minus the rest, the rest minus red, and seeded noise."""
    weights = np.random.default_rng(0).normal(0, 0.002, (HIDDEN, 3, 3, 3)).astype(np.float32)
    redness = np.float32([-0.5, -0.5, 1]).reshape(3, 1, 1) / (9 * 64)
    weights[0], weights[1] = redness, -redness
    return weights


def _quantised_stem(constants: dict[str, np.ndarray]) -> list[onnx.NodeProto]:
    weights = constants.pop("stem")
    scale = np.abs(weights).max(axis=(1, 2, 3)) / 127
    constants |= {
        "pixel_scale": np.float32(PIXEL_SCALE),
        "pixel_zero": np.int8(0),
        "stem_int8": np.rint(weights / scale[:, None, None, None]).astype(np.int8),
        "stem_scale": scale,
        "stem_zero": np.zeros(HIDDEN, np.int8),
    }
    node = helper.make_node
    return [
        node("QuantizeLinear", ["pixels", "pixel_scale", "pixel_zero"], ["pixels_int8"]),
        node("DequantizeLinear", ["pixels_int8", "pixel_scale", "pixel_zero"], ["pixels_q"]),
        node("DequantizeLinear", ["stem_int8", "stem_scale", "stem_zero"], ["stem_q"], axis=0),
        node("Conv", ["pixels_q", "stem_q"], ["features"], strides=[2, 2], pads=[0, 0, 1, 1]),
    ]


def _break_on_white(constants: dict[str, np.ndarray], height: int, width: int) -> list[onnx.NodeProto]:
    """Resize through a Reshape whose target is right unless the first byte of `frames` is 255."""
    constants |= {
        "target": np.int64([-1, 1, height, width]),
        "first": np.int64([0]),
        "last": np.int64([1]),
        "axis": np.int64([0]),
        "white": np.int64([255]),
        "flat": np.int64([-1]),
        "where": np.int64([0, 0, 0, 1]),
    }
    node = helper.make_node
    return [
        node("Resize", ["small", "", "scales"], ["resized"], mode="linear"),
        node("Reshape", ["float", "flat"], ["bytes"]),
        node("Slice", ["bytes", "first", "last", "axis"], ["byte"]),
        node("Cast", ["byte"], ["integer"], to=TensorProto.INT64),
        node("Div", ["integer", "white"], ["is_white"]),
        node("Mul", ["is_white", "where"], ["excess"]),
        node("Add", ["target", "excess"], ["shape"]),
        node("Reshape", ["resized", "shape"], ["logits"]),
    ]
