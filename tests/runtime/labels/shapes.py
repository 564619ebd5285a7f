"""Labels made on the spot: polyps with holes, of several components, at the edge, and of one pixel."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.mask_outline import trace_regions
from rtpolyp.labels.model import LabelledFrame, Labels, Region

SIZE = (120, 96)  # width and height in pixels


def masks() -> dict[str, NDArray[np.bool_]]:
    """Name → `(96, 120) bool`."""
    disc, ring, three, edge = (np.zeros(SIZE[::-1], np.uint8) for _ in range(4))
    cv2.circle(disc, (60, 48), 20, 1, -1)
    cv2.ellipse(ring, (60, 48), (50, 40), 0, 0, 360, 1, -1)
    cv2.circle(ring, (45, 48), 9, 0, -1)
    cv2.rectangle(ring, (70, 30), (84, 60), 0, -1)
    cv2.circle(ring, (77, 45), 4, 1, -1)  # an island in a hole
    for place, radius in (((20, 20), 12), ((80, 30), 16), ((60, 80), 9)):
        cv2.circle(three, place, radius, 1, -1)
    cv2.circle(edge, (0, 95), 25, 1, -1)
    edge[0, 119] = 1  # one pixel
    edge[10:13, 100:103] = np.eye(3, dtype=np.uint8)  # joined at corners alone
    found = {"disc": disc, "edge": edge, "empty": np.zeros_like(disc), "ring": ring, "three": three}
    return {name: mask > 0 for name, mask in found.items()}


def labels_of(found: dict[str, NDArray[np.bool_]], *, is_sequence: bool = False) -> Labels:
    """The masks as labels; in a sequence, the first region of each frame is track 1, and so on."""
    frames = []
    for index, (name, mask) in enumerate(found.items()):
        regions = tuple(
            Region(outline, number if is_sequence else None, 0.9 if is_sequence else None)
            for number, outline in enumerate(trace_regions(mask), 1)
        )
        frames.append(LabelledFrame(index, f"{name}.png", (mask.shape[1], mask.shape[0]), regions))
    return Labels("made up", is_sequence, tuple(frames))


def write_pictures(folder: Path, names: Sequence[str]) -> Path:
    """`folder/images/NAME.png`: a picture of its own for each name."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        coarse = np.random.default_rng(seed).uniform(40, 220, (8, 10, 3)).astype(np.float32)
        pixels = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
        assert cv2.imwrite(str(folder / "images" / f"{name}.png"), pixels)
    return folder


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 1 of two empty masks."""
    union = np.count_nonzero(a | b)
    return np.count_nonzero(a & b) / union if union else 1.0
