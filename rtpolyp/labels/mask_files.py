"""Masks: `masks/NAME.png`, 0 and 255 where a polyp is."""

from pathlib import Path

import cv2
import numpy as np

from rtpolyp.labels.model import Labels

__all__ = ["write_masks"]


def write_masks(labels: Labels, out: Path) -> None:
    """Write `out/masks/NAME.png`."""
    for frame in labels.frames:
        path = out / "masks" / f"{frame.stem}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        png = cv2.imencode(".png", frame.mask().astype(np.uint8) * 255)[1]
        path.write_bytes(png.tobytes())
