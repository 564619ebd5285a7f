"""The bundles that come with the package, on real frames that they were never trained on."""

from pathlib import Path

import numpy as np
import pytest

from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, load_bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.metrics import overlap
from rtpolyp.spec import image_fingerprint
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.source import open_source
from scripts.shipped.parts import TEST_PARTS
from tests.runtime.committed import COMMITTED

FRAMES = 100  # all of the Kvasir-SEG test split: on 40 of them INT8 differs from FP32 by .004, on all by .001
LEAST_DICE = 0.85  # far under what was measured on all 100; a broken graph gives less than 0.5
# Mean Dice that the runtime's pixels may cost. One-sided: on all 100 frames they measured 0.0024 better, and
# one grey level of noise on either moves the mean by as much.
PIXELS_COST = 0.002
# mean Dice against FP32; bf16, whose mantissa has 8 bits, costs 0.0035 here and 0.0014 on validation frames
PRECISION_COST = {"fp32": 0.0, "bf16": 0.005, "int8": 0.003}
ALL_BYTES = 60_000_000  # of all bundles: each is part of every wheel and of every clone

each_bundle = pytest.mark.parametrize("name", sorted(COMMITTED))


@pytest.fixture(scope="module")
def pairs(data_dir: Path) -> list[Pair]:
    return TEST_PARTS["kvasir-test"].pairs(data_dir)[:FRAMES]


def mean_dice(name: str, inputs: list[np.ndarray], pairs: list[Pair], precision: str = "fp32") -> float:
    dice = []
    with open_engine(name, precision=precision) as engine:
        for frame, pair in zip(inputs, pairs, strict=True):
            found = engine.submit(frame[np.newaxis]).result().probability[0] >= 128
            truth = resize_frame(read_mask(pair.mask).view(np.uint8) * np.uint8(255), engine.spec) >= 128
            dice.append(overlap(found, truth).dice)
    return float(np.mean(dice))


def through_opencv(name: str, pairs: list[Pair]) -> list[np.ndarray]:
    spec = load_bundle(name).spec
    return [resize_frame(read_image(pair.image), spec) for pair in pairs]


def through_swscale(name: str, pairs: list[Pair]) -> list[np.ndarray]:
    spec = load_bundle(name).spec
    inputs = []
    for pair in pairs:
        with open_source(pair.image) as source:
            (frame,) = source
        inputs.append(NetworkScaler(make_view(frame.size, spec.size))(frame))
    return inputs


def test_the_default_bundle_is_committed():
    assert DEFAULT_BUNDLE in COMMITTED


@each_bundle
@pytest.mark.needs_data
def test_the_runtimes_pixels_are_as_good_as_trainings(name, pairs):
    trained_on, streamed = (
        mean_dice(name, way(name, pairs), pairs) for way in (through_opencv, through_swscale)
    )
    assert trained_on > LEAST_DICE
    assert streamed > trained_on - PIXELS_COST


@each_bundle
@pytest.mark.needs_data
def test_every_precision_of_this_processor_is_as_good_as_fp32(name, pairs):
    inputs = through_opencv(name, pairs)
    precisions = OpenVinoEngine.precisions(load_bundle(name))
    dice = {precision: mean_dice(name, inputs, pairs, precision) for precision in precisions}
    assert "int8" in dice
    assert all(value >= dice["fp32"] - PRECISION_COST[precision] for precision, value in dice.items())


@each_bundle
@pytest.mark.needs_data
def test_no_test_frame_was_trained_on(name, data_dir):
    seen = set(load_bundle(name).spec.trained_on)
    for part in TEST_PARTS.values():
        assert not seen & {image_fingerprint(pair.image) for pair in part.pairs(data_dir)}


@each_bundle
def test_a_bundle_bears_its_folders_name_and_has_all_that_it_ships_with(name):
    bundle = load_bundle(name)
    assert bundle.spec.name == name
    networks = {"model.onnx", "model.int8.onnx"} | ({"weights.pt"} if name == DEFAULT_BUNDLE else set())
    files = {file.name for file in COMMITTED[name]}
    assert files == {*networks, "golden.png", "spec.json", "MODEL_CARD.md"}


def test_all_bundles_together_are_small_enough_to_ship():
    assert sum(file.stat().st_size for files in COMMITTED.values() for file in files) <= ALL_BYTES
