"""May this graph become a plan? The typed graph against the exact one, both in ONNX Runtime.

The typed graph is run as its emulation, which rounds as a GPU does: see
rtpolyp.inference.tensorrt.typed_onnx.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.tensorrt.plan import PlanPrecision
from rtpolyp.inference.tensorrt.typed_onnx import Graph, emulation_of
from rtpolyp.measure.dataset import Pair, images_by_stem, load_pairs
from rtpolyp.measure.evaluation import read_pair, score_frame
from rtpolyp.measure.parity import check_parity, compare_masks, probabilities
from rtpolyp.phantom import render_phantom
from rtpolyp.settings import Settings
from rtpolyp.spec import EngineSpec

__all__ = ["LEAST_DICE", "GateFrames", "gate", "phantom_frames", "read_frames"]

# The least Dice between the two masks. FP16 rounds to 11 bits and keeps outlines: 0.9998 on the 100 test
# frames of Kvasir-SEG with the shipped network. bfloat16's 8 bits and INT8 move those of small polyps: 0.997
# and 0.992. Their limits tell a wrong graph from a right one, and no more.
LEAST_DICE: dict[PlanPrecision, float] = {"fp32": 0.998, "fp16": 0.998, "bf16": 0.98, "int8": 0.95}

# Seven seconds, in which a polyp comes near: a small or doubtful mask would make Dice a matter of luck.
PHANTOM_SECONDS, PHANTOM_RATE, PHANTOM_SIZE, PHANTOM_SEED = 7, 2, (480, 384), 1


@dataclass(frozen=True)
class GateFrames:
    """Frames to compare on, with the truth where there is one."""

    description: str
    images: Sequence[NDArray[np.uint8]]  # (H, W, 3) BGR each
    pairs: Sequence[
        tuple[Pair, NDArray[np.bool_]]
    ] = ()  # with masks (H, W), one for each image, or none at all


def phantom_frames() -> GateFrames:
    """Frames of the phantom: no data set is needed to build."""
    phantom = render_phantom(PHANTOM_SECONDS, PHANTOM_SIZE, PHANTOM_RATE, PHANTOM_SEED)
    images = [frame.bgr for frame in phantom]
    return GateFrames("frames of the phantom", images)


def read_frames(text: str) -> GateFrames:
    """Frames of "DIR[:SPLIT]": a data set with images/ and masks/, or a folder of images.

    Raises InputError for what cannot be read.
    """
    name, _, split = (text, "", "") if Path(text).is_dir() else text.rpartition(":")
    folder = Path(name)
    if (folder / "images").is_dir():
        pairs = load_pairs(folder, split or None)
        read = [read_pair(pair) for pair in pairs]
        truths = [(pair, truth) for pair, (_, truth) in zip(pairs, read, strict=True)]
        return GateFrames(text, [image for image, _ in read], truths)
    if not folder.is_dir() or split or not (files := images_by_stem(folder)):
        raise InputError(
            f"{text}: no images; give a folder of images, or DIR[:SPLIT] with images/ and masks/"
        )
    return GateFrames(text, [read_image(path) for path in files.values()])


def gate(
    spec: EngineSpec,
    exact: Graph,
    typed: Graph,
    precision: PlanPrecision,
    frames: GateFrames,
) -> dict[str, Any]:
    """Compare the masks of both graphs; the figures for the sidecar.

    With truths also Dice of both against them, by the convention of `rtpolyp eval`. Raises EngineError where
    masks agree less than LEAST_DICE.
    """
    expected, found = (_run(spec, graph, frames) for graph in (exact, emulation_of(typed)))
    parity = compare_masks(expected, found)
    check_parity(f"{spec.name} in {precision}, {frames.description}", parity, LEAST_DICE[precision])
    figures: dict[str, Any] = {"on": frames.description, "least": LEAST_DICE[precision], **asdict(parity)}
    if frames.pairs:
        figures["exact_dice"], figures["typed_dice"] = (
            _mean_dice(maps, frames) for maps in (expected, found)
        )
    return figures


def _run(spec: EngineSpec, graph: Graph, frames: GateFrames) -> NDArray[np.uint8]:
    with tempfile.TemporaryDirectory() as folder:
        bundle = Bundle(Path(folder), replace(spec, files={"fp32": "graph.onnx"}))
        bundle.model("fp32").write_bytes(graph.SerializeToString())
        with OnnxRuntimeEngine(bundle) as engine:
            return probabilities(engine, frames.images)


def _mean_dice(maps: NDArray[np.uint8], frames: GateFrames) -> float:
    half = Settings(0.5, minimum_area=0.0, minimum_confidence=0.0)
    scores = (
        score_frame(pair, found, truth, half) for found, (pair, truth) in zip(maps, frames.pairs, strict=True)
    )
    return float(np.mean([score.half.dice for score in scores if score.has_polyp]))
