"""The spec of a stub engine, and a clip whose only red is a disc."""

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.spec import EngineSpec
from tests.runtime.clips import Clip, make_clip

SPEC = EngineSpec("stub", "stub", "none", 96, 128, threshold=0.5, minimum_area=0.001, minimum_confidence=0.0)


def disc(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A red disc of a sixth of the height on grey-brown, moving to the right."""
    width, height = size
    bgr = np.full((height, width, 3), (70, 80, 100), np.uint8)
    cv2.circle(bgr, (width // 4 + 2 * index, height // 2), height // 6, (60, 60, 230), -1)
    return bgr


def textured_disc(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """`disc` on a ground with the contrast and the colour that frames of mucosa have: it may raise alerts."""
    width, height = size
    grain = np.random.default_rng(index).integers(-70, 71, (height, width, 1))
    ground = np.clip(np.array((80, 80, 120)) + grain, 0, 255).astype(np.uint8)
    bgr = disc(index, size)
    return np.where((bgr == (60, 60, 230)).all(axis=2, keepdims=True), bgr, ground)


def disc_clip(path: Path, **traits: object) -> Path:
    """A clip of `disc`; `traits` are those of clips.Clip."""
    return make_clip(path, Clip(**traits), disc)
