"""The typed graph: which tensor has which type, and that nothing else of the network changes."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtpolyp.errors import EngineError
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.tensorrt.plan import PlanPrecision
from rtpolyp.inference.tensorrt.typed_onnx import (
    check_typed,
    emulation_of,
    load_graph,
    typed_graph,
    weights_by_precision,
)
from tests.runtime.tiny_bundle import red_square, tiny_model

SIZE = (96, 64)
NARROW = {"fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "int8": TensorProto.FLOAT16}
BYTES = ("frames", "probability")


def node(kind: str, inputs: str, output: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def between_bytes(nodes: list[onnx.NodeProto], **weights: object) -> onnx.ModelProto:
    """A graph on frames of 8 × 8: `nodes` make "planes" (N, 3, 8, 8) into "map" (N, 1, 8, 8)."""
    ends = [
        node("Cast", "frames", "float", to=TensorProto.FLOAT),
        node("Transpose", "float", "planes", perm=[0, 3, 1, 2]),
        *nodes,
        node("Squeeze", "map one", "squeezed"),
        node("Clip", "squeezed low high", "clipped"),
        node("Cast", "clipped", "probability", to=TensorProto.UINT8),
    ]
    weights |= {"one": np.int64([1]), "low": np.float32(0), "high": np.float32(255)}
    graph = helper.make_graph(
        ends,
        "test",
        [helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", 8, 8, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, ["N", 8, 8])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model, full_check=True)
    return model


def convolution(gain: float, channels: tuple[int, int]) -> np.ndarray:
    return np.full((channels[1], channels[0], 1, 1), gain, np.float32)


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = (*graph.value_info, *graph.input, *graph.output)
    known = {value.name: value.type.tensor_type.elem_type for value in values}
    return known | {tensor.name: tensor.data_type for tensor in graph.initializer}


def run(model: onnx.ModelProto, frames: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"frames": frames})[0]


def noise(count: int = 2) -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 256, (count, SIZE[1], SIZE[0], 3), np.uint8)
    frames[0] = red_square(SIZE)
    return frames


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8"])
def test_the_body_is_narrow_between_ends_in_fp32(precision: PlanPrecision):
    typed = typed_graph(tiny_model(SIZE, quantised=precision == "int8"), precision)
    check_typed(typed, precision)
    found = types(typed)
    for name in ("features", "rectified", "small"):
        assert found[name] == NARROW[precision], name
    for name in ("float", "planes", "pixels", "logits", "sigmoid", "scaled", "clipped"):
        assert found[name] == TensorProto.FLOAT, name
    assert [found[name] for name in BYTES] == [TensorProto.UINT8] * 2
    assert typed.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_fp32_stays_as_it_is():
    model = tiny_model(SIZE)
    assert typed_graph(model, "fp32").graph.node == model.graph.node
    np.testing.assert_array_equal(run(typed_graph(model, "fp32"), noise()), run(model, noise()))


def test_the_graph_that_was_given_is_left_alone():
    model = tiny_model(SIZE)
    before = model.SerializeToString(deterministic=True)
    typed_graph(model, "fp16")
    assert model.SerializeToString(deterministic=True) == before


def test_weights_stored_as_fp16_are_folded():
    """The shipped model.onnx holds its weights so, each with a Cast behind it."""
    bundle = load_bundle()
    model = onnx.load(bundle.model("fp32"))
    casts = sum(node.op_type == "Cast" for node in model.graph.node)
    typed = typed_graph(model, "fp32")
    assert casts > 100
    # bytes at both ends; what is outlined, and the cells that it touches, over which the second look averages
    assert [node.op_type for node in typed.graph.node].count("Cast") == 4
    held = weights_by_precision(typed_graph(model, "fp16"))
    assert held["fp16"] > 1_000_000
    assert held["fp32"] < 100


def test_means_over_a_map_stay_fp32():
    model = between_bytes(
        [
            node("Conv", "planes first", "features"),
            node("ReduceMean", "features axes", "mean"),
            node("Mul", "features mean", "scaled"),
            node("Conv", "scaled second", "map"),
        ],
        first=convolution(1, (3, 4)),
        second=convolution(1, (4, 1)),
        axes=np.int64([2, 3]),
    )
    found = types(typed_graph(model, "fp16"))
    assert found["mean"] == TensorProto.FLOAT
    assert found["features"] == found["scaled"] == TensorProto.FLOAT16


def test_scales_of_a_resize_stay_fp32():
    model = between_bytes(
        [
            node("Conv", "planes first", "features", strides=[2, 2]),
            node("Resize", "features none scales", "large", mode="linear"),
            node("Conv", "large second", "map"),
        ],
        first=convolution(1, (3, 4)),
        second=convolution(1, (4, 1)),
        none=np.float32([]),
        scales=np.float32([1, 1, 2, 2]),
    )
    typed = typed_graph(model, "fp16")
    found = types(typed)
    assert (found["large"], found["scales"]) == (TensorProto.FLOAT16, TensorProto.FLOAT)
    assert run(typed, np.zeros((1, 8, 8, 3), np.uint8)).shape == (1, 8, 8)


def test_bfloat16_rounds_to_nearest_even():
    values = np.float32([1, 1 + 2**-8, 1 + 3 * 2**-8, -1.3, 3e38, 1e-40]).reshape(1, 6, 1, 1)
    model = between_bytes(
        [node("Conv", "planes first", "features"), node("Conv", "features second", "map")],
        first=convolution(1, (3, 6)),
        second=values,
    )
    weights = {t.name: t for t in emulation_of(typed_graph(model, "bf16")).graph.initializer}
    found = numpy_helper.to_array(weights["second.bf16"]).ravel()
    np.testing.assert_allclose(found, values.ravel(), rtol=2**-8, atol=1e-40)
    np.testing.assert_array_equal(found[:3], np.float32([1, 1, 1 + 2**-6]))


def test_int8_is_centred():
    """TensorRT quantises symmetrically and signed; a bundle's INT8 is off centre where that is better."""
    model = tiny_model(SIZE, quantised=True)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants["pixel_zero"].CopyFrom(numpy_helper.from_array(np.int8(-100), "pixel_zero"))
    typed = typed_graph(model, "int8")
    centred = {tensor.name: numpy_helper.to_array(tensor) for tensor in typed.graph.initializer}
    assert centred["pixel_zero"] == 0
    before = numpy_helper.to_array(constants["pixel_scale"])
    largest = before * (127 + 100)
    assert centred["pixel_scale"] * 127 == pytest.approx(largest, rel=1e-6)
    frames = red_square(SIZE)[np.newaxis]  # within the range of both
    assert np.abs(run(emulation_of(typed), frames).astype(int) - run(model, frames)).max() <= 8


@pytest.mark.parametrize(("precision", "levels"), [("fp16", 1), ("bf16", 8), ("int8", 8)])
def test_the_emulation_computes_the_network(precision: PlanPrecision, levels: int):
    exact = tiny_model(SIZE)
    typed = typed_graph(tiny_model(SIZE, quantised=precision == "int8"), precision)
    found = run(emulation_of(typed), noise())
    assert np.abs(found.astype(int) - run(exact, noise())).max() <= levels
    assert np.ptp(found) > 100


def test_the_emulation_overflows_where_fp16_does():
    """ONNX Runtime's processor kernels compute FP16 in FP32, and an overflow would pass unseen."""
    model = between_bytes(
        [node("Conv", "planes first", "features"), node("Conv", "features second", "map")],
        first=convolution(300, (3, 4)),  # 3 · 255 · 300 is beyond 65504
        second=convolution(1e-4, (4, 1)),
    )
    typed = typed_graph(model, "fp16")
    white = np.full((1, 8, 8, 3), 255, np.uint8)
    right = run(model, white)
    assert 50 < right[0, 0, 0] < 255
    np.testing.assert_array_equal(run(typed, white), right)
    assert (run(emulation_of(typed), white) == 255).all()


def test_a_weight_beyond_fp16_fails_naming_it():
    model = between_bytes([node("Conv", "planes heavy", "map")], heavy=convolution(1e5, (3, 1)))
    with pytest.raises(
        EngineError, match=r"^heavy: a weight of 100000 is beyond FP16's 65504; build bf16 or"
    ):
        typed_graph(model, "fp16")
    typed_graph(model, "bf16")


def test_bytes_that_meet_no_cast_fail():
    model = between_bytes([node("Conv", "planes first", "map")], first=convolution(1, (3, 1)))
    model.graph.node[0].CopyFrom(node("Transpose", "frames", "turned", perm=[0, 3, 1, 2]))
    model.graph.node[1].CopyFrom(node("Cast", "turned", "planes", to=TensorProto.FLOAT))
    with pytest.raises(EngineError, match="input frames: bytes meet Transpose, TensorRT wants a Cast"):
        check_typed(model, "fp32")


def test_an_output_that_is_no_cast_to_bytes_fails():
    model = between_bytes([node("Conv", "planes first", "map")], first=convolution(1, (3, 1)))
    del model.graph.node[-1]
    model.graph.node[-1].output[0] = "probability"
    with pytest.raises(EngineError, match="output probability: bytes meet Clip, TensorRT wants a Cast"):
        check_typed(model, "fp32")
    model.graph.node.append(node("Cast", "probability", "other", to=TensorProto.FLOAT))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("other", TensorProto.FLOAT, ["N", 8, 8]))
    with pytest.raises(EngineError, match=r"^other: FLOAT, not UINT8; export the network again"):
        check_typed(model, "fp32")


def test_a_gathernd_fails():
    model = between_bytes(
        [node("GatherND", "planes where", "picked"), node("Conv", "picked first", "map")],
        first=convolution(1, (3, 1)),
        where=np.zeros((1, 3, 8, 8, 4), np.int64),
    )
    with pytest.raises(EngineError, match="1 GatherND in the graph; write the network's pooling without"):
        check_typed(model, "fp32")


def test_fp32_convolutions_in_an_fp16_graph_fail_with_their_number():
    with pytest.raises(EngineError, match="2 of 2 convolutions are FP32, the first makes features; fp16 was"):
        check_typed(typed_graph(tiny_model(SIZE), "fp32"), "fp16")


@pytest.mark.parametrize("content", [b"not an ONNX file", b""])
def test_a_broken_file_fails_naming_it(tmp_path: Path, content: bytes):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(EngineError, match=r"model\.onnx: not readable as ONNX \(.*\); export it again"):
        load_graph(tmp_path / "model.onnx")


def test_a_missing_file_fails_naming_it(tmp_path: Path):
    with pytest.raises(EngineError, match=r"absent\.onnx: not readable as ONNX"):
        load_graph(tmp_path / "absent.onnx")
