"""Quantisation with the real library, on a network that segments what is red."""

import logging

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import train.export.int8 as int8
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.spec import EngineSpec
from train.export.graph import ByteNetwork, to_onnx
from train.export.heldout import HeldOut, dice_per_frame, load_frames_of, load_held_out, probabilities
from train.networks import create_network

SIZE = (96, 64)
ALLOWED_DROP = 0.02  # a mask of 400 pixels loses 0.01 with one row of four; the real limit would undo INT8


@pytest.fixture(scope="module")
def held_out(mini_source) -> HeldOut:
    return load_held_out([mini_source], SIZE)


@pytest.fixture(scope="module")
def handler():
    """Of another program, on the library's logger."""
    handler = logging.NullHandler(logging.DEBUG)
    logging.getLogger("nncf").addHandler(handler)
    yield handler
    logging.getLogger("nncf").removeHandler(handler)


@pytest.fixture(scope="module")
def bundle(redness_net, held_out, mini_source, tmp_path_factory, handler) -> Bundle:
    """Both files of a bundle, quantised on the spot."""
    files = {"fp32": "model.onnx", "int8": "model.int8.onnx"}
    spec = EngineSpec("redness", "redness", "none", SIZE[1], SIZE[0], 0.5, 0.0, 0.0, files=files)
    bundle = Bundle(tmp_path_factory.mktemp("int8"), spec)
    exact = to_onnx(ByteNetwork(redness_net, redness_net.encoder.mean, redness_net.encoder.std), SIZE)
    onnx.save(exact, bundle.model("fp32"))

    def dice_of(model: onnx.ModelProto, indices: np.ndarray) -> np.ndarray:
        onnx.save(model, bundle.model("int8"))
        with OpenVinoEngine(bundle, "int8") as engine:
            return dice_per_frame(probabilities(engine, held_out.frames[indices]), held_out.truth[indices])

    calibration = load_frames_of([mini_source], 8, SIZE, seed=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(int8, "MAX_DROP", ALLOWED_DROP)
        quantised = int8.quantise(exact, calibration, np.flatnonzero(held_out.has_polyp), dice_of)
    onnx.save(quantised, bundle.model("int8"))
    return bundle


def mean_dice(engine, held_out: HeldOut) -> float:
    with engine:
        return float(np.nanmean(dice_per_frame(probabilities(engine, held_out.frames), held_out.truth)))


@pytest.mark.parametrize("backend", [OpenVinoEngine, OnnxRuntimeEngine])
def test_dice_stays(bundle: Bundle, held_out: HeldOut, backend):
    before = mean_dice(backend(bundle, "fp32"), held_out)
    assert before > 0.8
    assert mean_dice(backend(bundle, "int8"), held_out) >= before - ALLOWED_DROP


def test_weights_are_stored_as_int8_and_keep_to_seven_bits(bundle: Bundle):
    model = onnx.load(bundle.model("int8"))
    weights = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    matrices = [values for values in weights if values.ndim == 4]
    assert len(matrices) == 3
    assert {values.dtype for values in matrices} == {np.dtype(np.int8)}
    assert 60 <= max(np.abs(values.astype(int)).max() for values in matrices) <= 64


def test_logits_and_sigmoid_are_not_quantised(bundle: Bundle):
    model = onnx.load(bundle.model("int8"))
    writers = {name: node for node in model.graph.node for name in node.output}
    node, operators = writers["probability"], []
    while node.op_type != "Conv":
        operators.append(node.op_type)
        node = writers[node.input[0]]
    assert "Sigmoid" in operators
    assert "DequantizeLinear" not in operators


def test_log_handlers_of_others_are_left_as_they_are(bundle: Bundle, handler):
    assert handler.level == logging.DEBUG


@pytest.mark.parametrize(
    ("name", "last_of_the_encoder"), [("pranet", [96, 16, 1, 1]), ("pranet-if", [16, 32, 1, 1])]
)
def test_what_is_near_the_image_or_reads_a_product_stays_in_float(name, last_of_the_encoder):
    network = create_network(name, pretrained=False)
    model = to_onnx(ByteNetwork(network, network.encoder.mean, network.encoder.std), (64, 64))
    weights = {tensor.name: list(tensor.dims) for tensor in model.graph.initializer}
    left = set(int8._left_in_float(model))
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    shapes = [weights[node.input[1]] for node in convolutions if node.name in left]
    decoder = [[64, 64, 3, 3], [9, 96, 3, 3]]
    assert shapes[:2] == [[32, 3, 3, 3], [32, 1, 3, 3]]
    assert shapes[-3:] == [last_of_the_encoder, *decoder]


def test_a_second_look_stays_in_float_whole_and_nothing_before_it():
    network = create_network("pranet-if", pretrained=False).eval()
    before = to_onnx(ByteNetwork(network, network.encoder.mean, network.encoder.std), (64, 64))
    network.add_second_look().eval()
    model = to_onnx(ByteNetwork(network, network.encoder.mean, network.encoder.std), (64, 64))
    looked = [node for node in model.graph.node if node.name in set(int8._of_second_look(model))]
    assert len([node for node in looked if node.op_type == "Conv"]) == 2 * 6 + 1
    assert looked[-1].output[0] == "probability"
    assert "Sigmoid" in {node.op_type for node in looked}
    convolutions = [sum(node.op_type == "Conv" for node in one.graph.node) for one in (before, model)]
    assert convolutions[1] - convolutions[0] == 13
    assert not int8._of_second_look(before)


def test_calibration_frames_are_train_frames_drawn_by_seed(mini_source):
    first, again, other = (load_frames_of([mini_source], 4, SIZE, seed) for seed in (0, 0, 1))
    assert first.shape == (4, 64, 96, 3)
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert len(load_frames_of([mini_source], 99, SIZE, 0)) == len(mini_source.pairs("train"))
