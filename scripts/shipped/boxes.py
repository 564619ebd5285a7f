"""The black position box: painted beside a polyp, or cropped away where no polyp is.

Nearly all polyp-free frames have such a box and half of Kvasir-SEG's frames with a polyp do. A network that
has learned "box, so no polyp" loses polyps beside a painted one, and outlines more where it is cropped away.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.measure.crops import Crop
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import read_pair
from train.position_box import find_box

__all__ = ["beside_box", "paint_box"]

WIDTH, HEIGHT = 0.34, 0.32  # of the frame: the median of the real ones


def paint_box(pair: Pair, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """`image: (H, W, 3) uint8 BGR` with a black box in the corner where it hides least of the pair's polyps.

    Of corners that hide as much, the lower left comes first, where recorders have it.
    """
    _, truth = read_pair(pair)
    height, width = round(HEIGHT * len(truth)), round(WIDTH * truth.shape[1])
    left, right = slice(0, width), slice(truth.shape[1] - width, None)
    above, below = slice(0, height), slice(len(truth) - height, None)
    corners = [(below, left), (below, right), (above, left), (above, right)]
    corner = min(corners, key=lambda corner: np.count_nonzero(truth[corner]))
    painted = image.copy()
    painted[corner] = 0
    return painted


def beside_box(pairs: Sequence[Pair], side: Literal["right", "above"]) -> list[Crop]:
    """What lies right of the box or above it, of each frame that has one; `scale` is its share of a side."""
    crops = []
    for pair in pairs:
        image, _ = read_pair(pair)
        box = find_box(image)
        if box is None:
            continue
        height, width = image.shape[:2]
        x, y = round(box[0] * width), round(box[1] * height)
        rect = Rect(x, 0, width - x, height) if side == "right" else Rect(0, 0, width, y)
        crops.append(Crop(pair, rect, 1 - box[0] if side == "right" else box[1]))
    return crops
