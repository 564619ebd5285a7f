"""A data set of ellipses on noise, small enough to train on in a test."""

from pathlib import Path

import cv2
import numpy as np

SIZE = (96, 80)  # width and height in pixels: not square, so that a swapped axis shows


def write_polyps(
    folder: Path, *, train: int = 6, val: int = 3, test: int = 0, polyp_free: int = 0, seed: int = 0
) -> Path:
    """Write images (JPEG), masks (PNG) and the split "half", without a list of a part that has no image.

    Of each part, the last `polyp_free` images show no polyp.
    """
    random = np.random.default_rng(seed)
    for name in ("images", "masks", "splits"):
        (folder / name).mkdir(parents=True)
    for part, count in {"train": train, "val": val, "test": test}.items():
        if not count:
            continue
        stems = [f"{part}{index}" for index in range(count)]
        for index, stem in enumerate(stems):
            image, mask = picture(random, has_polyp=index < count - polyp_free)
            cv2.imwrite(str(folder / "images" / f"{stem}.jpg"), image)
            cv2.imwrite(str(folder / "masks" / f"{stem}.png"), mask)
        (folder / "splits" / f"half_{part}.txt").write_text("\n".join(stems) + "\n")
    return folder


def picture(random: np.random.Generator, *, has_polyp: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """One frame (H, W, 3) uint8 BGR of reddish noise with a pale ellipse, and its mask (H, W) uint8."""
    width, height = SIZE
    image = random.normal((60, 70, 140), 20, (height, width, 3)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((height, width), np.uint8)
    if has_polyp:
        centre = [int(random.integers(side // 4, 3 * side // 4)) for side in SIZE]
        axes = [int(random.integers(8, 16)) for _ in SIZE]
        cv2.ellipse(mask, centre, axes, float(random.uniform(0, 180)), 0, 360, 255, -1)
        image[mask > 0] = random.normal((120, 160, 230), 10, (int(np.count_nonzero(mask)), 3)).clip(0, 255)
    return image, mask
