"""A checkpoint becomes a bundle that the runtime can open.

Everything is written into a folder beside the target, and takes its place when PyTorch, ONNX Runtime and
OpenVINO agree and no precision costs more than it may. A failure leaves an earlier bundle as it was.
"""

import logging
import math
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from torch import nn

from rtpolyp.errors import EngineError, InputError
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.inference.local_engine import SlotEngine
from rtpolyp.inference.onnxruntime import OnnxRuntimeEngine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.golden import make_golden
from rtpolyp.published_folder import published
from rtpolyp.spec import EngineSpec, image_fingerprint, sha256_of, write_spec
from train.checkpoint import Checkpoint, load_checkpoint, load_network
from train.data import Source
from train.encoders.encoder import encoder_of
from train.export.appearance import describe_sources
from train.export.graph import ByteNetwork, half_weights, to_onnx
from train.export.heldout import HeldOut, dice_per_frame, load_frames_of, load_held_out, probabilities
from train.export.int8 import quantise
from train.export.judgement import check_cost, judge, mean_dice, predict_all
from train.export.model_card import write_model_card
from train.export.operating_point import PLAIN, OperatingPoint
from train.export.parity import EXACT, HALF_WEIGHTS, Tolerance, check, reference
from train.weights import save_weights

__all__ = ["Choices", "export_bundle", "of_second_look", "sources_of"]

log = logging.getLogger(__name__)

FILES = {"fp32": "model.onnx", "int8": "model.int8.onnx", "weights": "weights.pt"}
PARITY_FRAMES = 24  # validation frames that every backend computes; PyTorch takes 0.2 s each
PARITY_BATCH = 2  # so that the symbolic batch is tested too
CALIBRATION_FRAMES = 300  # train frames that set INT8's ranges
WORTHLESS = 0.2  # mean Dice: every network trained for a hundred steps here had more
HALVING_COST = 0.0005  # mean Dice that FP16 storage of the weights may cost on validation frames


@dataclass(frozen=True)
class Choices:
    """How a bundle is made."""

    side: int | None = None  # of the input in pixels, a multiple of 32; None: the last that was trained at
    seed: int = 0  # of calibration frames and polyp-free crops
    untrained: bool = False  # whether the network may find next to nothing
    weights: bool = True  # whether PyTorch's are kept, for further training and plans of other sizes


def export_bundle(
    checkpoint: Path,
    folder: Path,
    *,
    name: str,
    sources: Sequence[Source],
    choices: Choices = Choices(),
) -> EngineSpec:
    """Export a checkpoint's averaged weights as the bundle `folder`, and return its spec.

    `sources` are those that it was trained on: their val parts judge parity, precisions and the operating
    point, their train parts calibrate INT8. A precision that costs too much is left out, with a warning. An
    earlier bundle in `folder` is replaced.

    Raises InputError for sources that are not the checkpoint's, for data that cannot be read, and for a
    network that finds next to nothing unless it may; EngineError where a backend or FP32 is
    too far off, OutputError for a folder that holds something else or cannot be written.
    """
    trained = load_checkpoint(checkpoint)
    _check_sources(checkpoint, trained, sources)
    files = dict(FILES)
    side = trained.recipe.final_size if choices.side is None else choices.side
    seed = choices.seed
    encoder = cast(str, trained.spec.encoder)
    look_point, look_outcomes = of_second_look(checkpoint, trained, side)
    spec = EngineSpec(name, trained.spec.name, encoder, side, side, **asdict(PLAIN), files=files)
    crops = trained.recipe.picture_crop
    held_out = load_held_out(sources, spec.size, picture_crop=crops)
    log.info("%d validation frames; writing the ONNX graph", len(held_out))
    with published(folder, "spec.json") as staging:
        bundle = Bundle(staging, spec)
        exact, parity, dice = _write_fp32(load_network(trained), bundle, held_out)
        if not choices.untrained:
            _check_worth(checkpoint, dice, held_out)
        calibration = load_frames_of(sources, CALIBRATION_FRAMES, spec.size, seed, picture_crop=crops)
        _write_int8(exact, bundle, held_out, calibration)
        save_weights(trained, staging / files["weights"])
        point, validation, left_out = judge(bundle, held_out, seed, look_point)
        for role in (*left_out, *([] if choices.weights else ["weights"])):
            if (file := files.pop(role, None)) is not None:
                (staging / file).unlink()
        spec = replace(
            spec,
            files=files,
            **asdict(point),
            sha256={file: sha256_of(staging / file) for file in files.values()},
            metrics={"validation": validation | look_outcomes, "parity": parity},
            training=_training(trained, sources, len(calibration)),
            appearance=describe_sources(bundle, sources, seed).to_dict(),
            trained_on=_fingerprints(trained, held_out),
        )
        spec = replace(spec, golden=make_golden(Bundle(staging, spec)))
        write_spec(spec, staging / "spec.json")
        write_model_card(staging)
        load_bundle(staging)
    return spec


def _check_worth(checkpoint: Path, dice: float, held_out: HeldOut) -> None:
    """Raise InputError for a network that finds next to nothing."""
    if not dice >= WORTHLESS:  # NaN is none either
        raise InputError(
            f"{checkpoint}: Dice {_figure(dice)} on {len(held_out)} validation frames, which is an "
            "untrained network or a training that failed; train it on, or add --untrained"
        )


def of_second_look(
    checkpoint: Path, trained: Checkpoint, side: int
) -> tuple[OperatingPoint | None, dict[str, Any]]:
    """The operating point that came with a second look, and what it gave; see `train.second_look.point`.

    Raises InputError where the second look was fitted at another size.
    """
    look = trained.second_look
    if look is None:
        return None, {}
    if look["size"] != side:
        raise InputError(
            f"{checkpoint}: its second look was fitted at {look['size']} px, the bundle has {side}. "
            f"Give --size {look['size']}, or fit it with python -m train.second_look --size {side}"
        )
    return OperatingPoint(**look["point"]), {"left_out_groups": look["outcomes"]}


def _write_fp32(
    network: nn.Module, bundle: Bundle, held_out: HeldOut
) -> tuple[onnx.ModelProto, dict[str, str], float]:
    """Write model.onnx: its weights stored as FP16, or as they are where that costs too much.

    Returns the graph with exact weights, how far each backend is from PyTorch, and the mean Dice.
    """
    exact = to_onnx(ByteNetwork(network, encoder_of(network).mean, encoder_of(network).std), bundle.spec.size)
    frames = held_out.frames[:: max(1, len(held_out) // PARITY_FRAMES)][:PARITY_FRAMES]
    expected = reference(network, frames)

    def judge_stage(stage: str, model: onnx.ModelProto, tolerance: Tolerance) -> tuple[dict[str, str], float]:
        _save(model, bundle, "fp32")
        parity = {}
        for backend in (OpenVinoEngine, OnnxRuntimeEngine):
            who = f"{backend.library()}, {stage}"
            with backend(bundle, batch=PARITY_BATCH) as engine:
                difference = check(who, expected, _in_batches(engine, frames), tolerance)
            parity[who] = f"≤ {difference.levels}/255 with {difference.flipped:.4%} of pixels flipped"
            log.info("%s: %s", who, parity[who])
        dice = mean_dice(predict_all(bundle, "fp32", held_out), held_out)
        log.info("%s: Dice %.4f", stage, dice)
        return parity, dice

    parity, dice = judge_stage("exact weights", exact, EXACT)
    try:
        of_half, dice_of_half = judge_stage("FP16 weights", half_weights(exact), HALF_WEIGHTS)
        check_cost("weights stored as FP16", dice, dice_of_half, HALVING_COST)
    except EngineError as exc:
        log.warning("the weights are stored as FP32, at twice the size: %s", exc)
        _save(exact, bundle, "fp32")
        return exact, parity, dice
    return exact, parity | of_half, dice


def sources_of(checkpoint: Path) -> tuple[str, ...]:
    """`DIR[:SPLIT]` of each source that a checkpoint was trained on; raises InputError where it has none."""
    known = load_checkpoint(checkpoint).data
    if not known:
        raise InputError(f"{checkpoint}: does not say where its data lay; give them by --data DIR:SPLIT")
    return known


def _figure(dice: float) -> str:
    return "of nothing" if math.isnan(dice) else f"{dice:.3f}"


def _write_int8(exact: onnx.ModelProto, bundle: Bundle, held_out: HeldOut, calibration: np.ndarray) -> None:
    """Write model.int8.onnx, quantised from the graph with exact weights."""
    with tempfile.TemporaryDirectory() as folder:
        candidate = Bundle(Path(folder), replace(bundle.spec, files={"fp32": "candidate.onnx"}))

        def dice_of(model: onnx.ModelProto, indices: np.ndarray) -> np.ndarray:
            onnx.save(model, candidate.model("fp32"))
            with OpenVinoEngine(candidate, optimise_for="throughput") as engine:
                found = probabilities(engine, held_out.frames[indices])
            dice = dice_per_frame(found, held_out.truth[indices])
            log.info(
                "choosing the layers of INT8: Dice %.4f on %d frames with a polyp", dice.mean(), len(dice)
            )
            return dice

        log.info("quantising to INT8 with %d training frames", len(calibration))
        quantised = quantise(exact, calibration, np.flatnonzero(held_out.has_polyp), dice_of)
    _save(quantised, bundle, "int8")


def _save(model: onnx.ModelProto, bundle: Bundle, role: str) -> None:
    spec = bundle.spec
    model.producer_name = "rtpolyp"
    about = {"name": spec.name, "network": spec.network, "encoder": spec.encoder, "role": role}
    onnx.helper.set_model_props(model, about)
    onnx.save(model, bundle.model(role))


def _in_batches(engine: SlotEngine, frames: np.ndarray) -> np.ndarray:
    starts = range(0, len(frames), engine.batch)
    return np.concatenate([engine.submit(frames[i : i + engine.batch]).result().probability for i in starts])


def _check_sources(checkpoint: Path, trained: Checkpoint, sources: Sequence[Source]) -> None:
    """The val parts that chose the weights, or those of the second look, which came after them, have to be
    the ones that are judged on and fingerprinted."""
    look = trained.second_look
    theirs = set(look["sources"]) if look else {file.source for file in trained.files}
    given = {source.name for source in sources}
    if theirs != given:
        how = "its second look was fitted to" if look else "trained on"
        raise InputError(
            f"{checkpoint}: {how} {', '.join(sorted(theirs))}, not {', '.join(sorted(given))}; "
            "give the same --data"
        )


def _fingerprints(trained: Checkpoint, held_out: HeldOut) -> tuple[str, ...]:
    train = {file.sha256[:16] for file in trained.seen}
    return tuple(sorted(train | {image_fingerprint(pair.image) for pair in held_out.pairs}))


def _training(trained: Checkpoint, sources: Sequence[Source], calibration: int) -> dict[str, Any]:
    packages = ("torch", "onnx", "onnxruntime", "openvino", "nncf")
    return {
        "sources": [source.name for source in sources],
        "train_frames": len(trained.files),
        "frames_of_earlier_trainings": len(trained.earlier),  # that the weights began with, see --init
        **({"frames_of_the_second_look": len(set(trained.looked_at))} if trained.second_look else {}),
        **(
            {"ensemble_of": trained.joined, "what_follows_is_of": trained.joined[0]} if trained.joined else {}
        ),
        **({"mean_of": trained.averaged, "below_is_of": trained.averaged[0]} if trained.averaged else {}),
        "step": trained.step,
        "validation_dice_while_training": trained.best_dice,
        "recipe": asdict(trained.recipe),
        "numerics": asdict(trained.numerics),
        "int8_calibration_frames": calibration,
        "versions": {package: version(package) for package in packages},
    }
