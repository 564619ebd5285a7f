"""How a frame looks to the network, as a few numbers: what tells one source of frames from another.

Every number is of the network's own input and output, so it means the same in training, in a file, in a live
stream and on every backend.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.quality import blur_effect

__all__ = ["TRAITS", "Trait", "measure_appearance"]

GRID = 128  # cells along each side, so that networks of different input sizes see the same detail
BLACK = 24  # luma up to which a cell is border or lumen out of the light's reach
STILL = 1  # grey levels up to which two neighbouring cells are the same: borders, panels, what is drawn
DOUBT = 26, 229  # 255 × 0.1 and 0.9: between them the network is sure neither of polyp nor of none
# log2 of each grey level: differences of two channels are ratios of colours, which do not depend on how much
# light there is. The 8 levels added keep noise from deciding in the dark.
LOG = np.log2(np.arange(256, dtype=np.float32) + 8)


class Trait(NamedTuple):
    """One number of a frame's appearance, and the words for a stream that has less or more of it."""

    name: str
    less: str
    more: str


TRAITS = (
    Trait("brightness", "darker", "brighter"),  # mean luma of what is lit, 0 to 255
    Trait("contrast", "flatter", "richer in contrast"),  # log2 of the same one's standard deviation
    Trait("redness", "less red", "redder"),  # mean log2 of red over green
    Trait("blueness", "yellower", "bluer"),  # mean log2 of blue over green
    Trait("reds", "with fewer shades of red", "with more shades of red"),  # log2 of redness's spread
    Trait("blues", "with fewer shades of blue", "with more shades of blue"),  # log2 of blueness's spread
    Trait("shading", "redder in its shadows", "less red in its shadows"),  # correlation of luma and redness
    Trait("blur", "sharper", "blurrier"),  # blur effect, 0 sharp to 1
    Trait("fine detail", "with less fine detail", "with more fine detail"),  # log2 of a band's mean
    Trait("coarse detail", "with less coarse detail", "with more coarse detail"),  # log2 of another's
    Trait("border", "with less dark border", "with more dark border"),  # square root of its share
    Trait("flat areas", "with fewer flat areas", "with more flat areas"),  # square root of their share
    Trait("doubt", "surer to the network", "more doubtful to the network"),  # square root of its share
)


def measure_appearance(frame: NDArray[np.uint8], probability: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Measure the TRAITS of one frame, `(len(TRAITS),) float64`.

    Takes the network's input `(H, W, 3) uint8 BGR` and its output `(H, W) uint8`, 255 = polyp, without
    temporal smoothing.
    """
    cells = np.asarray(cv2.resize(frame, (GRID, GRID), interpolation=cv2.INTER_AREA), np.uint8)
    luma = np.asarray(cv2.cvtColor(cells, cv2.COLOR_BGR2GRAY), np.uint8)
    blue, green, red = cv2.split(cv2.LUT(cells, LOG))
    lit = (luma > BLACK).astype(np.uint8)
    if not lit.any():
        lit[:] = 1
    light, redness, blueness = luma.astype(np.float32), red - green, blue - green
    (brightness, contrast), (red_mean, red_spread), (blue_mean, blue_spread) = (
        (mean.item(), spread.item())
        for mean, spread in (cv2.meanStdDev(plane, mask=lit) for plane in (light, redness, blueness))
    )
    common = cv2.mean((light - brightness) * (redness - red_mean), mask=lit)[0]
    doubtful = (probability >= DOUBT[0]) & (probability <= DOUBT[1])
    return np.array(
        [
            brightness,
            _log(contrast),
            red_mean,
            blue_mean,
            _log(red_spread, 0.01),
            _log(blue_spread, 0.01),
            common / (contrast * red_spread + 0.01),
            blur_effect(luma),
            *_detail(light),
            _root_of_share(luma <= BLACK),
            _root_of_share(_flat(cells)),
            _root_of_share(doubtful),
        ],
        np.float64,
    )


def _detail(luma: NDArray[np.float32]) -> tuple[float, float]:
    """Mean strength of a fine and a coarse band, each two averagings apart, as log2 of grey levels."""
    smooth = [luma]
    for side in (3, 5, 9):
        smooth.append(np.asarray(cv2.blur(smooth[-1], (side, side)), np.float32))
    fine, coarse = (cv2.mean(cv2.absdiff(*smooth[i : i + 2]))[0] for i in (0, 2))
    return _log(fine), _log(coarse)


def _flat(cells: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where a cell is the same as its neighbours to the left and above, `(H - 1, W - 1)`."""
    here = cells[1:, 1:]
    steps = cv2.max(cv2.absdiff(here, cells[1:, :-1]), cv2.absdiff(here, cells[:-1, 1:]))
    blue, green, red = cv2.split(steps)
    return np.asarray(cv2.max(cv2.max(blue, green), red) <= STILL)


def _log(value: float, floor: float = 0.1) -> float:
    return float(np.log2(value + floor))


def _root_of_share(where: NDArray[np.bool_]) -> float:
    return float(np.sqrt(np.count_nonzero(where) / where.size))
