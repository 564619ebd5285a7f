"""Run-length encoded masks: those of COCO, by its own library, and those of CVAT."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError

__all__ = ["decode_coco", "decode_rows", "encode_coco", "encode_rows"]

MOST_BITS = 35  # of a run in COCO's text; more would take a time that grows with their square


def encode_coco(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """COCO's `{"size": [H, W], "counts": "…"}` of a mask `(H, W) bool`.

    Raises InputError where pycocotools is not installed.
    """
    rle = _library().encode(np.asfortranarray(mask.view(np.uint8)))
    return {"size": [int(side) for side in rle["size"]], "counts": rle["counts"].decode("ascii")}


def decode_coco(rle: Mapping[str, Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask `(H, W) bool` of COCO's compressed or plain runs, for an image of `size` (width, height).

    Raises InputError, whose message follows on what the runs annotate, where they are of another size or
    broken, or pycocotools is not installed.
    """
    width, height = size
    library = _library()
    try:
        counts = rle["counts"]
        declared = [int(side) for side in rle["size"]]
        if declared != [height, width]:
            raise InputError(
                f"a run-length encoded mask of {declared[::-1]} pixels in an image of {width}x{height}. "
                "Export it again"
            )
        runs = counts if isinstance(counts, list) else _plain(counts)
        numbers = np.array(runs, np.int64)
        if numbers.ndim != 1 or not _fill(numbers, width * height):
            raise ValueError("the runs do not add up to the image")
        coded = library.frPyObjects({"size": declared, "counts": numbers.tolist()}, height, width)
        with warnings.catch_warnings():  # pycocotools 2.0.11 does not know NumPy 2's argument `copy`
            warnings.simplefilter("ignore", DeprecationWarning)
            return np.asarray(library.decode(coded), np.uint8) > 0
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, UnicodeEncodeError) as exc:
        raise InputError(f"a run-length encoded mask that cannot be read ({exc}). Export it again") from exc


def encode_rows(mask: NDArray[np.bool_]) -> list[int]:
    """The lengths of runs of background and mask in turns, by rows, background first; as CVAT has them."""
    changes = np.flatnonzero(np.diff(mask.ravel().view(np.int8), prepend=np.int8(0)))
    lengths: list[int] = np.diff([0, *changes.tolist(), mask.size]).tolist()
    return lengths


def decode_rows(runs: Sequence[int] | NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The mask `(H, W) bool` of `encode_rows`; raises ValueError where runs do not fill `size` (W, H)."""
    width, height = size
    lengths = np.asarray(runs, np.int64)
    if min(size) < 1 or not _fill(lengths, width * height):
        raise ValueError(f"runs that do not add up to {width}x{height} pixels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width)


def _fill(lengths: NDArray[np.int64], pixels: int) -> bool:
    """Whether runs add up to `pixels`. Each is looked at alone, too, since sums of huge ones wrap around."""
    return bool(((lengths >= 0) & (lengths <= pixels)).all() and lengths.sum() == pixels)


def _plain(counts: str) -> list[int]:
    """The runs of COCO's text: five bits a character, the sixth says that more follow, each run from the
    fourth on as its difference to the last but one. pycocotools does not say where they end too early."""
    runs: list[int] = []
    value = shift = 0
    for character in counts.encode("ascii"):
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if shift > MOST_BITS:
            raise ValueError("a run that no image has")
        if not bits & 0x20:
            if bits & 0x10:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


def _library() -> Any:
    try:
        from pycocotools import mask
    except ImportError as exc:
        raise InputError(
            "a run-length encoded mask needs pycocotools. Install it: pip install 'rtpolyp[labels]'"
        ) from exc
    return mask
