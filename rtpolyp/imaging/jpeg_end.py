"""JPEGs that were cut and then closed with an end mark: decoders fill what is missing with grey, in silence.

Recovery tools and web caches write such files. libjpeg leaves every block behind the cut zero, so that the
last pixel is exactly mid-grey; a file that looks so is decoded again with other bytes before its end mark. A
picture that is whole has used up its data by then, and stays the same.
"""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["is_cut_jpeg"]

END = b"\xff\xd9"
MID_GREY = 128  # of a block whose coefficients are all zero
FILLER = b"\x55\xaa\x33\xcc" * 2048  # no byte of it is 255, which would begin a marker


def is_cut_jpeg(path: Path, image: Image.Image, pixels: NDArray[np.uint8]) -> bool:
    """Whether the data of the JPEG `image` end before its picture; `pixels: (H, W) or (H, W, 3)` are its.

    In a progressive file, where each scan covers the picture, and in inks its last pixel tells nothing: those
    are always decoded again. A cut between two scans is not found: the picture is whole, and coarse.
    """
    tells = image.mode in ("RGB", "L") and "progressive" not in image.info
    if tells and (pixels[-1, -1] != MID_GREY).any():
        return False
    content = path.read_bytes()
    end = content.rfind(END)
    if end < 0:
        return False
    filled = content[:end] + FILLER + content[end:]
    return not np.array_equal(_decode(content), _decode(filled))


def _decode(content: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(content), formats=["JPEG"]) as image:
        return np.asarray(image)
