"""Near-duplicates: images that show one view, such as neighbouring frames or a still saved twice.

Each image becomes a small map of local contrast, and two are near-duplicates where those correlate. What
makes that work on endoscopic images is what is left out: the border, which is the same on all images of a
device (the picture is cut out, and dark pixels around it have no say), and the light, which falls from the
middle to the rim of every picture (brightness is taken relative to its surroundings).

Checked on images whose relations are known (tests/runtime/imaging/test_near_duplicates.py):

    Kvasir-SEG: the five known pairs correlate with at least 0.95, also the one of different size and border;
    fourteen more pairs, from 0.78 on, show one view each, by eye; all others stay below 0.67
    CVC-612: no image reaches 0.65 with one of another sequence

A perceptual hash (signs of 63 DCT coefficients) of the same images agrees in 78 % of its bits for one of the
known pairs, and in 94 % for images of two CVC-612 sequences: its bits are spent on the border. And the maps
of 10,000 images are compared in 1 s on one core, so that nothing has to be found by hash first.
"""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.picture import find_picture

__all__ = ["SAME", "contrast_map", "describe", "find_clusters"]

SAME = 0.7  # correlation from which two images are near-duplicates
WORK = 64  # pixels, side of the picture that contrast is measured on
SURROUNDINGS = 6.0  # of those pixels, standard deviation of the neighbourhood
DARK = 24  # luma; what is darker lies outside the picture, or tells nothing
NOISE = 4.0  # luma; contrast below this is not stretched
SIDE = 16  # cells, side of the map that is compared
BLOCK = 1000  # rows of the matrix of correlations that are in memory at once


def describe(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The `contrast_map` of the endoscope's picture in `(H, W, 3) uint8 BGR`."""
    luma = np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)
    box = find_picture(luma)
    return contrast_map(luma[box.y : box.y + box.height, box.x : box.x + box.width])


def contrast_map(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Map luma `(H, W) uint8`, cut to the picture, to its contrast `(SIDE², ) float32`, of length 1."""
    small = cv2.resize(picture, (WORK, WORK), interpolation=cv2.INTER_AREA).astype(np.float32)
    lit = np.asarray(cv2.erode((small > DARK).astype(np.float32), np.ones((3, 3))), np.float32)
    share = _surroundings(lit) + 1e-3
    difference: NDArray[np.float32] = (small - _surroundings(small * lit) / share) * lit
    contrast = np.sqrt(_surroundings(difference**2) / share) + NOISE
    cells = cv2.resize(difference / contrast, (SIDE, SIDE), interpolation=cv2.INTER_AREA).ravel()
    length = float(np.linalg.norm(cells))
    if length < 1e-3:  # nothing to be seen: all such images are alike
        return np.full(SIDE**2, 1 / SIDE, np.float32)
    return np.asarray(cells / length, np.float32)


def find_clusters(maps: NDArray[np.float32], same: float = SAME) -> NDArray[np.int64]:
    """Label `maps: (N, SIDE²) float32` by cluster: `(N,) int64`, the index of the cluster's first image.

    Images are in one cluster where a chain of near-duplicates joins them.
    """
    labels = np.arange(len(maps))
    starts = [*range(0, len(maps), BLOCK), len(maps)]
    for start, stop in pairwise(starts):
        similar = maps[start:stop] @ maps.T >= same
        for index, near in enumerate(similar, start):
            near[index] = True  # rounding may leave it at 0.99…
            joined = np.unique(labels[near])
            if len(joined) > 1:
                labels[np.isin(labels, joined)] = joined[0]
    return labels


def _surroundings(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(x, (0, 0), SURROUNDINGS), np.float32)
