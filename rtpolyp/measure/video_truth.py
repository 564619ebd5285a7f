"""What is known of a video's frames: masks or boxes of their polyps, and where sequences begin."""

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import known_beside
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.measure.dataset import images_by_stem
from rtpolyp.measure.frame_score import SPECK
from rtpolyp.measure.mask_check import check_masks

__all__ = [
    "Known",
    "Polyps",
    "Truth",
    "box_truth",
    "mask_truth",
    "no_polyps",
    "read_sequences",
    "read_truth",
    "regions",
]

Polyps = tuple[NDArray[np.bool_], ...]  # a mask (H, W) of each polyp in a frame


@dataclass(frozen=True)
class Truth:
    """The polyps of a video's frames, once and in order."""

    frames: Iterator[Polyps]
    count: int | None  # frames that it knows; None: as many as the video has
    outlined: bool = True  # masks are outlines, not boxes, and a Dice means something


@dataclass(frozen=True)
class Known:
    """What is known of a video's frames before an engine sees them."""

    truth: Truth | None = None
    sequences: Sequence[str] | None = None  # the name of each frame's; None: all are of one


def read_truth(path: Path) -> Truth:
    """Masks of a folder, named by the frame's index (0.png or 000000.png), or boxes of a JSON file.

    Raises InputError when there is no such file, or it is of another kind; masks are read as they are asked
    for.
    """
    if not path.is_dir():
        return box_truth(path)
    numbered = {int(stem): file for stem, file in images_by_stem(path).items() if stem.isdecimal()}
    if not numbered:
        raise InputError(
            f"{path}: no mask named by a frame's index in it; name them 000000.png, 000001.png …"
        )
    if missing := sorted(set(range(max(numbered))) - numbered.keys()):
        raise InputError(
            f"{path}: no mask of frame {missing[0]} ({len(missing)} are missing); add it, empty when no polyp"
        )
    check_masks([*numbered.values()])
    return mask_truth([numbered[index] for index in sorted(numbered)])


def mask_truth(files: Sequence[Path]) -> Truth:
    """One mask file per frame; each of its regions is a polyp."""
    return Truth((regions(read_mask(file)) for file in files), len(files))


def box_truth(path: Path) -> Truth:
    """Boxes as filled masks: `{"width": W, "height": H, "frames": [[{"bbox": [x0, y0, x1, y1]}, …], …]}`."""
    content = _read_json(path)
    try:
        shape = int(content["height"]), int(content["width"])
        boxes = [[[int(edge) for edge in entry["bbox"]] for entry in frame] for frame in content["frames"]]
        if any(len(corners) != 4 for frame in boxes for corners in frame):
            raise ValueError("a bbox has four numbers")
        if min(shape) < 1 or shape[0] * shape[1] > MAX_PIXELS:
            raise ValueError(f"a picture of {shape[1]}x{shape[0]} pixels")
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise InputError(
            f"{path}: not a list of boxes ({exc!r}); "
            'give {"width": W, "height": H, "frames": [[{"bbox": [x0, y0, x1, y1]}], …]}'
        ) from exc
    filled = (tuple(_filled(corners, shape) for corners in frame) for frame in boxes)
    return Truth(filled, len(boxes), outlined=False)


def no_polyps() -> Truth:
    """The truth of a video without a polyp, however long it is."""
    return Truth(itertools.repeat(()), None)


def regions(mask: NDArray[np.bool_]) -> Polyps:
    """The 8-connected regions of a mask `(H, W) bool` that are no slips of the brush."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[:, cv2.CC_STAT_AREA]
    return tuple(labels == number for number in range(1, count) if areas[number] >= SPECK * mask.size)


def read_sequences(path: Path) -> list[str]:
    """The sequence that each frame belongs to: `[{"video_frame": 0, "sequence_id": 10}, …]`, every frame."""
    content = _read_json(path)
    try:
        rows = {int(row["video_frame"]): str(row["sequence_id"]) for row in content}
        return [rows[index] for index in range(len(rows))]
    except (KeyError, TypeError, ValueError, OverflowError) as exc:
        raise InputError(
            f"{path}: not a list of frames ({exc!r}); "
            'give [{"video_frame": 0, "sequence_id": 10}, …] with every frame'
        ) from exc


def _filled(corners: list[int], shape: tuple[int, int]) -> NDArray[np.bool_]:
    x0, y0, x1, y1 = corners
    mask = np.zeros(shape, np.bool_)
    mask[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    return mask


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file; {known_beside(path)}give a folder of masks or a JSON file"
        ) from None
    except (OSError, ValueError) as exc:
        raise InputError(f"{path}: not readable as JSON ({exc}); write it again") from exc
