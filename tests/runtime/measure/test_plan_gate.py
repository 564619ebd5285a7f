"""The gate between a typed graph and its plan."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import numpy_helper

from rtpolyp.errors import EngineError, InputError
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.tensorrt.typed_onnx import Graph, load_graph, typed_graph
from rtpolyp.measure.plan_gate import GateFrames, gate, read_frames
from tests.runtime.tiny_bundle import red_square

DICE_COST = 0.001  # that FP16 may cost on test frames
FRAMES = 8  # of the data set's 100, for the time it takes


@pytest.fixture
def squares() -> GateFrames:
    return GateFrames("squares", [red_square(corner=(x, 10)) for x in (10, 30, 50)])


@pytest.fixture
def data_set(tmp_path: Path) -> Path:
    """Three squares with their masks, and a frame without."""
    for part in ("images", "masks", "splits"):
        (tmp_path / part).mkdir()
    for index in range(4):
        mask = np.zeros((64, 96), np.uint8)
        if index < 3:
            mask[20:44, 10 * index : 10 * index + 24] = 255
        image = red_square(corner=(10 * index, 20), side=24 if index < 3 else 0)
        cv2.imwrite(str(tmp_path / "images" / f"f{index}.png"), image)
        cv2.imwrite(str(tmp_path / "masks" / f"f{index}.png"), mask)
    (tmp_path / "splits" / "half.txt").write_text("f0\nf3")
    return tmp_path


def graphs(bundle: Bundle) -> tuple[Graph, Graph]:
    exact = load_graph(bundle.model("fp32"))
    return exact, typed_graph(exact, "fp16")


def shift_bias(graph: Graph, by: float) -> None:
    """Move the logits, as a wrong conversion might."""
    for tensor in graph.graph.initializer:
        if tensor.name.startswith("bias"):
            values = numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values + values.dtype.type(by), tensor.name))


def test_a_right_graph_passes_with_its_figures(bundle: Bundle, squares: GateFrames):
    figures = gate(bundle.spec, *graphs(bundle), "fp16", squares)
    assert figures["on"] == "squares"
    assert figures["frames"] == 3
    assert figures["levels"] <= 1
    assert figures["dice"] > 0.998
    assert "typed_dice" not in figures


def test_a_wrong_graph_fails_with_its_figures(bundle: Bundle, squares: GateFrames):
    exact, typed = graphs(bundle)
    shift_bias(typed, 1.5)
    with pytest.raises(
        EngineError, match=r"^tiny in fp16, squares: masks agree with Dice 0\.\d+ on 3 frames, below"
    ):
        gate(bundle.spec, exact, typed, "fp16", squares)


def test_with_masks_both_are_scored(bundle: Bundle, data_set: Path):
    figures = gate(bundle.spec, *graphs(bundle), "fp16", read_frames(str(data_set)))
    assert figures["frames"] == 4
    assert figures["exact_dice"] == pytest.approx(figures["typed_dice"], abs=DICE_COST)
    assert 0.8 < figures["exact_dice"] < 1


def test_a_split_or_a_folder_of_images_is_read(data_set: Path):
    assert len(read_frames(f"{data_set}:half").images) == 2
    images = read_frames(str(data_set / "images"))
    assert len(images.images) == 4
    assert not images.pairs


@pytest.mark.parametrize("text", ["{}/absent", "{}/splits", "{}/images:half"])
def test_what_holds_no_images_fails(data_set: Path, text: str):
    with pytest.raises(InputError, match="no images; give a folder of images, or DIR"):
        read_frames(text.format(data_set))


def test_an_unknown_split_fails(data_set: Path):
    with pytest.raises(InputError, match="quarter"):
        read_frames(f"{data_set}:quarter")


@pytest.mark.needs_data
def test_fp16_costs_the_shipped_network_no_dice(data_dir: Path):
    bundle = load_bundle()
    frames = read_frames(f"{data_dir / 'kvasir-seg'}:paper80-10-10_test")
    few = GateFrames(frames.description, frames.images[:FRAMES], frames.pairs[:FRAMES])
    figures = gate(bundle.spec, *graphs(bundle), "fp16", few)
    assert figures["typed_dice"] == pytest.approx(figures["exact_dice"], abs=DICE_COST)
    assert figures["exact_dice"] > 0.8
