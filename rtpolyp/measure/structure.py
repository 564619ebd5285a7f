"""S-measure, weighted F-measure and E-measure of a probability map, as PraNet and SUN-SEG report them.

Pure functions on a map `(H, W) float64` from 0 to 1 and a truth `(H, W) bool` that has polyp and background
pixels. A test holds them to `pysodmetrics` within 1e-4 (tests/peers); where the literature's implementations
differ, as in the centre of the S-measure, its choice is ours.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["e_measure", "s_measure", "stretch", "weighted_f"]

EPSILON = float(np.spacing(1))
WINDOW, SIGMA = 7, 5.0  # pixels, of the Gaussian that spreads errors within a polyp
FADE = np.log(0.5) / 5  # an error 5 pixels away from the polyp counts half more than one at its border


def stretch(probability: NDArray[np.uint8]) -> NDArray[np.float64]:
    """The map `(H, W) uint8` from 0 to 1, stretched to its own lowest and highest value where they differ."""
    unit = probability / 255
    low, high = float(unit.min()), float(unit.max())
    return (unit - low) / (high - low) if high > low else unit


def s_measure(predicted: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Structure-measure with α = 0.5: Fan et al., "Structure-measure", ICCV 2017.

    Half of it compares the values on polyp and on background with 1 and 0, half the four parts into which the
    truth's centre divides the picture.
    """
    share = truth.mean()
    objects = share * _object(predicted[truth]) + (1 - share) * _object(1 - predicted[~truth])
    height, width = truth.shape
    y, x = (int(centre) + 1 for centre in np.argwhere(truth).mean(axis=0).round())
    parts = 0.0
    for rows in (slice(0, y), slice(y, height)):
        for columns in (slice(0, x), slice(x, width)):
            part = truth[rows, columns]
            if part.size:
                parts += part.size / truth.size * _similarity(predicted[rows, columns], part)
    return max(0.0, float(0.5 * objects + 0.5 * parts))


def weighted_f(predicted: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Weighted F-measure with β² = 1: Margolin et al., "How to evaluate foreground maps?", CVPR 2014.

    Errors inside a polyp are spread by a Gaussian, those outside weigh more the farther away they are.
    """
    error = np.abs(predicted - truth)
    kernel = cv2.getGaussianKernel(WINDOW, SIGMA, cv2.CV_64F)
    spread = cv2.sepFilter2D(
        _carried_out(error, truth), cv2.CV_64F, kernel, kernel, borderType=cv2.BORDER_CONSTANT
    )
    inside = np.minimum(error, spread)[truth]
    distance = cv2.distanceTransform((~truth).view(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[~truth]
    outside = error[~truth] * (2 - np.exp(FADE * distance.astype(np.float64)))
    hits = np.count_nonzero(truth) - inside.sum()
    recall, precision = 1 - inside.mean(), hits / (hits + outside.sum() + EPSILON)
    return float(2 * recall * precision / (recall + precision + EPSILON))


def e_measure(predicted: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Enhanced-alignment measure, mean over 256 thresholds: Fan et al., IJCAI 2018."""
    levels = (predicted * 255).astype(np.uint8)
    total, polyp = truth.size, int(np.count_nonzero(truth))
    hits, strays = (
        np.cumsum(np.bincount(values, minlength=256)[::-1]).astype(np.float64)
        for values in (levels[truth], levels[~truth])
    )
    mean = (hits + strays) / total  # of the binary map, at each threshold from 255 down to 0
    share = polyp / total
    aligned = np.zeros(256)
    for pixels, map_value, truth_value in (
        (hits, 1 - mean, 1 - share),
        (strays, 1 - mean, -share),
        (polyp - hits, -mean, 1 - share),
        (total - polyp - strays, -mean, -share),
    ):
        alignment = 2 * map_value * truth_value / (map_value**2 + truth_value**2 + EPSILON)
        aligned += pixels * (alignment + 1) ** 2 / 4
    return float((aligned / (total - 1 + EPSILON)).mean())


def _object(values: NDArray[np.float64]) -> float:
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if values.size > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + deviation + EPSILON)


def _similarity(predicted: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """SSIM of one part of the picture, without its constants."""
    x, y, free = float(predicted.mean()), float(truth.mean()), predicted.size - 1 + EPSILON
    dx, dy = predicted - x, truth - y
    above = 4 * x * y * float((dx * dy).sum()) / free
    below = (x**2 + y**2) * (float((dx**2).sum()) + float((dy**2).sum())) / free
    if above == 0:
        return 1.0 if below == 0 else 0.0
    return above / (below + EPSILON)


def _carried_out(error: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The error with, around polyps, that of the nearest polyp pixel, as far as the Gaussian reaches.

    Of several at one distance, the one that SciPy's distance transform takes, which the reference calls.
    """
    carried = error.copy()
    reached = cv2.dilate(truth.view(np.uint8), np.ones((WINDOW, WINDOW), np.uint8)) > 0
    y, x = np.nonzero(reached & ~truth)
    height, width = truth.shape
    for dy, dx in OFFSETS:
        to_y, to_x = y + dy, x + dx
        is_inside = (to_y >= 0) & (to_y < height) & (to_x >= 0) & (to_x < width)
        hit = np.zeros(len(y), np.bool_)
        hit[is_inside] = truth[to_y[is_inside], to_x[is_inside]]
        carried[y[hit], x[hit]] = error[to_y[hit], to_x[hit]]
        y, x = y[~hit], x[~hit]
    return carried


def _offsets() -> list[tuple[int, int]]:
    """Steps (dy, dx) to what lies within the window's corner, nearest first."""
    reach = WINDOW // 2
    far = int(np.ceil(reach * 2**0.5))
    steps = [(dy, dx) for dy in range(-far, far + 1) for dx in range(-far, far + 1)]
    near = [(dy, dx) for dy, dx in steps if 0 < dy**2 + dx**2 <= 2 * reach**2]
    return sorted(near, key=lambda step: (step[0] ** 2 + step[1] ** 2, step[1], step[0]))


OFFSETS = _offsets()
