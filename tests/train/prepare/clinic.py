"""A hospital's folder on disk: views that differ like stills of different patients, and their masks."""

from pathlib import Path

import cv2
import numpy as np

SIZE = (120, 96)  # width and height in pixels


def view(seed: int) -> np.ndarray:
    """`(96, 120, 3) uint8 BGR`: folds of mucosa, one pattern a seed."""
    coarse = np.random.default_rng(seed).uniform(0, 1, (8, 10)).astype(np.float32)
    folds = cv2.resize(coarse, SIZE, interpolation=cv2.INTER_CUBIC)[:, :, None]
    return (np.array([50, 60, 110]) + folds * np.array([60, 70, 100])).clip(0, 255).astype(np.uint8)


def disc(radius: int = 14) -> np.ndarray:
    """`(96, 120) bool`: a polyp in the middle."""
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.circle(mask, (SIZE[0] // 2, SIZE[1] // 2), radius, 1, -1)
    return mask > 0


def write(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)
    return path


def write_clinic(folder: Path, images: int = 12, polyp_free: int = 0) -> Path:
    """`images/p00.png …` and `masks/p00.png …`; the last ones show no polyp."""
    for index in range(images):
        write(folder / "images" / f"p{index:02}.png", view(index))
        mask = disc(8 + index) if index < images - polyp_free else np.zeros(SIZE[::-1], bool)
        write(folder / "masks" / f"p{index:02}.png", mask.astype(np.uint8) * 255)
    return folder
