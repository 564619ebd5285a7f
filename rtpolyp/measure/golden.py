"""The golden frame: a picture of our own whose mask is known, so that a wrong machine is found before use.

A bundle holds a frame of the phantom, `golden.png`, and the mask that each precision gave where the bundle
was exported. An engine whose mask on that frame agrees too little computes something else than the network
does: a driver, a library or a processor is at fault. Equal bytes would be too much to ask. Sums are taken in
another order elsewhere, AMX rounds INT8 otherwise than VNNI and AVX2 do, and bfloat16 products are added in
pairs on some processors.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.bounded_files import read_regular
from rtpolyp.errors import EngineError, WrongResult
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.imaging.run_length import decode_rows, encode_rows
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.engine import Engine
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.frame_score import HALF
from rtpolyp.measure.metrics import overlap
from rtpolyp.phantom import SMALLEST, render_phantom
from rtpolyp.spec import sha256_of

__all__ = ["FRAME_FILE", "Golden", "GoldenCheck", "check_golden", "make_golden", "read_golden"]

FRAME_FILE = "golden.png"
# The least Dice of the mask and the expected one. Measured on seven phantom frames with a polyp and both
# shipped networks, between ONNX Runtime and OpenVINO held to AVX2, AVX-512, VNNI, its bfloat16 and AMX
# (ONEDNN_MAX_CPU_ISA), the worst pair had 1.0000 in FP32, 0.9994 in bfloat16 and 0.9963 in INT8. Against
# FP32's mask, which stands for a precision that the exporting machine had not, bfloat16 had 0.9969.
LEAST_DICE = {"fp32": 0.998, "fp16": 0.99, "bf16": 0.99, "int8": 0.98}
CANDIDATE_SECONDS, CANDIDATE_RATE = 24, 0.5  # two laps of the phantom, past four polyps
MAX_FRAME_BYTES = 64 << 20
ANSWER_SECONDS = 60.0  # a first run may compile kernels


@dataclass(frozen=True)
class Golden:
    """A frame and what each precision makes of it."""

    frame: NDArray[np.uint8]  # (H, W, 3) BGR, at the network's size
    masks: Mapping[str, NDArray[np.bool_]]  # precision → (H, W), probability of at least 0.5; FP32 among them


@dataclass(frozen=True)
class GoldenCheck:
    """An engine that passed."""

    precision: str
    dice: float  # of its mask and the expected one
    equal: bool  # bit for bit

    def __str__(self) -> str:
        agreement = "bit for bit" if self.equal else f"Dice {self.dice:.4f}"
        return f"{self.precision} {agreement}"


def make_golden(bundle: Bundle) -> dict[str, Any]:
    """Write the bundle's golden.png, and return what belongs into its `EngineSpec.golden`.

    The frame is the one of the phantom's on which FP32 outlines most. The masks are OpenVINO's, in each
    precision that this machine and the bundle both have.
    """
    width, height = bundle.spec.size
    rendered = render_phantom(
        CANDIDATE_SECONDS, (max(width, SMALLEST), max(height, SMALLEST)), CANDIDATE_RATE
    )
    frames = [resize_frame(frame.bgr, bundle.spec) for frame in rendered]
    with OpenVinoEngine(bundle) as engine:
        chosen = max(frames, key=lambda frame: np.count_nonzero(_mask(engine, frame)))
    masks = {}
    for precision in OpenVinoEngine.precisions(bundle):
        with OpenVinoEngine(bundle, precision) as engine:
            mask = _mask(engine, chosen)
        masks[precision] = {"runs": " ".join(map(str, encode_rows(mask))), "sha256": _digest(mask)}
    path = bundle.folder / FRAME_FILE
    path.write_bytes(cv2.imencode(".png", chosen)[1].tobytes())
    return {"frame": path.name, "sha256": sha256_of(path), "masks": masks}


def read_golden(bundle: Bundle) -> Golden | None:
    """The bundle's golden frame; None where it was exported without one.

    Raises EngineError where the frame or a mask is missing or not what the spec says.
    """
    stored = bundle.spec.golden
    if not stored:
        return None
    path = bundle.folder / stored["frame"]
    try:
        content = read_regular(path, MAX_FRAME_BYTES)
    except (OSError, ValueError) as exc:
        raise EngineError(f"{path}: not readable ({exc}); fetch the bundle again") from exc
    if hashlib.sha256(content).hexdigest() != stored["sha256"]:
        raise EngineError(f"{path}: is not the frame that spec.json names; fetch the bundle again")
    frame = read_image(path)
    if frame.shape[1::-1] != bundle.spec.size:
        width, height = bundle.spec.size
        raise EngineError(f"{path}: is not of {width}x{height} pixels; export the bundle again")
    try:
        masks = {precision: _decode(of_it, bundle.spec.size) for precision, of_it in stored["masks"].items()}
    except ValueError as exc:
        raise EngineError(
            f"{bundle.folder / 'spec.json'}: golden has {exc}; export the bundle again"
        ) from exc
    return Golden(frame, masks)


def check_golden(engine: Engine, golden: Golden, precision: str) -> GoldenCheck:
    """Compare an engine's mask with the one expected in `precision`, or in FP32 where that is not known.

    Raises WrongResult where they agree too little, and EngineError where the engine fails.
    """
    found = _mask(engine, golden.frame)
    expected = golden.masks.get(precision, golden.masks["fp32"])
    dice = overlap(found, expected).dice if expected.any() else float(not found.any())
    if dice < (least := LEAST_DICE[precision]):
        raise WrongResult(
            f"{engine.description}: its mask of {engine.spec.name}'s golden frame agrees with Dice "
            f"{dice:.4f}, below {least}: this machine computes something else than the network; update the "
            "driver and the library, or choose another backend or precision"
        )
    return GoldenCheck(precision, dice, np.array_equal(found, expected))


def _mask(engine: Engine, frame: NDArray[np.uint8]) -> NDArray[np.bool_]:
    probability = engine.submit(frame[np.newaxis]).result(ANSWER_SECONDS).probability[0]
    mask: NDArray[np.bool_] = probability >= HALF
    return mask


def _digest(mask: NDArray[np.bool_]) -> str:
    return hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()


def _decode(stored: Mapping[str, str], size: tuple[int, int]) -> NDArray[np.bool_]:
    mask = decode_rows(np.array(stored["runs"].split(), np.int64), size)
    if _digest(mask) != stored["sha256"]:
        raise ValueError("a mask that differs from its SHA-256")
    return mask
