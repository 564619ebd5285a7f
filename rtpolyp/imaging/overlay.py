"""Draw polyps on the Y, U and V planes of a 4:2:0 frame, only where polyps are."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.settings import Settings, Style

__all__ = ["PEN", "Planes", "cut", "draw_overlay", "fixed_point", "ink", "pen_margin", "touched"]

Planes: TypeAlias = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]
"""Y `(H, W) uint8`, U and V `((H + 1) // 2, (W + 1) // 2) uint8`; rows may be padded."""

# Cyan lies opposite to mucosa's red, and colour-blind people tell the two apart by their blue. As luma,
# Cb and Cr in [0, 1] and [-0.5, 0.5]; a frame in BT.709 shows the same numbers as a slightly bluer cyan.
PEN = 0.67, 0.18, -0.48
TINT: dict[Style, float] = {"outline": 0.06, "fill": 0.35, "box": 0.0}  # how far chroma turns to the pen's
FRACTION_BITS = 4  # OpenCV's fixed-point coordinates: 1/16 pixel


@dataclass(frozen=True)
class _Colours:
    """The pen's bright line and dark edge as the stream's bytes."""

    bright: tuple[int, int, int]  # Y, U, V
    dark: int  # Y of black

    @classmethod
    def of(cls, full_range: bool) -> "_Colours":
        return cls(ink(PEN, full_range), ink((0.0, 0.0, 0.0), full_range)[0])


def ink(colour: tuple[float, float, float], full_range: bool) -> tuple[int, int, int]:
    """The bytes Y, U, V of a colour given as luma in [0, 1] and Cb, Cr in [-0.5, 0.5].

    `full_range` says that luma spans 0 to 255 and not 16 to 235.
    """
    luma_span, chroma_span, black = (255, 255, 0) if full_range else (219, 224, 16)
    y, cb, cr = colour
    return round(black + luma_span * y), round(128 + chroma_span * cb), round(128 + chroma_span * cr)


def draw_overlay(planes: Planes, polyps: Sequence[Polyp], settings: Settings, *, full_range: bool) -> None:
    """Draw each polyp on the planes in place, in `settings.style`; nothing when `settings.overlay` is off.

    `outline` is a bright line with a dark edge and a light tint, `fill` the same with a strong tint, `box`
    the bounding box alone. The tint changes chroma only, so that the mucosa's pattern stays readable.
    No byte is written outside the polyps' boxes widened by `pen_margin`. `full_range` says that luma spans
    0 to 255 and not 16 to 235.
    """
    if not settings.overlay:
        return
    height, width = planes[0].shape
    colours = _Colours.of(full_range)
    thickness = _thickness(width, height)
    for polyp in reversed(polyps):  # the largest last, on top
        roi = touched(polyp.box, width, height)
        within = cut(planes, roi)
        contour = polyp.contour if settings.style != "box" else _corners(polyp.box)
        contour = contour - np.array((roi.x, roi.y), np.float32)
        if TINT[settings.style]:
            _tint(within, contour, TINT[settings.style], colours)
        _stroke(within, contour, thickness, colours)


def pen_margin(width: int, height: int) -> int:
    """How many pixels around a polyp's box its line may touch in a frame of this size; even."""
    thickness = _thickness(width, height)
    return ((thickness + _edge(thickness)) // 2 + 5) // 2 * 2  # 3 to 4 px for antialiasing and rounding


def _thickness(width: int, height: int) -> int:
    """The bright line's thickness: 3 px at 1280x1024, never under 2."""
    return max(2, round(min(width, height) / 340))


def _edge(thickness: int) -> int:
    """How much thicker the dark line under the bright one is: 1 px on each side at 1280x1024."""
    return 2 * max(1, round(thickness / 3))


def touched(box: Rect, width: int, height: int) -> Rect:
    """What drawing a polyp of this box may change: it widened by `pen_margin` and to even corners."""
    margin = pen_margin(width, height)
    x0, y0 = max(0, box.x - margin) // 2 * 2, max(0, box.y - margin) // 2 * 2
    x1, y1 = box.x + box.width + margin, box.y + box.height + margin
    return Rect(x0, y0, min(width, x1 + x1 % 2) - x0, min(height, y1 + y1 % 2) - y0)


def cut(planes: Planes, roi: Rect) -> Planes:
    """The planes' views inside `roi`, whose corner is even."""
    y, u, v = planes
    chroma = np.s_[roi.y // 2 : (roi.y + roi.height + 1) // 2, roi.x // 2 : (roi.x + roi.width + 1) // 2]
    return y[roi.y : roi.y + roi.height, roi.x : roi.x + roi.width], u[chroma], v[chroma]


def _corners(box: Rect) -> NDArray[np.float32]:
    x1, y1 = box.x + box.width, box.y + box.height
    return np.array([(box.x, box.y), (x1, box.y), (x1, y1), (box.x, y1)], np.float32)


def fixed_point(contour: NDArray[np.float32], subsampling: int) -> NDArray[np.int32]:
    """Edge coordinates on the luma grid as OpenCV's fixed-point pixel-centre coordinates on a plane."""
    centres = contour / np.float32(subsampling) - np.float32(0.5)
    return np.asarray(np.rint(centres * np.float32(1 << FRACTION_BITS)), np.int32)


def _tint(within: Planes, contour: NDArray[np.float32], strength: float, colours: _Colours) -> None:
    """Turn the chroma inside the contour towards the pen's by `strength` in [0, 1]."""
    inside = np.zeros(within[1].shape, np.uint8)
    cv2.fillPoly(inside, [fixed_point(contour, 2)], 255, cv2.LINE_8, FRACTION_BITS)
    for plane, target in zip(within[1:], colours.bright[1:], strict=True):
        tinted = cv2.convertScaleAbs(plane, alpha=1 - strength, beta=strength * target)
        cv2.copyTo(tinted, inside, plane)


def _stroke(within: Planes, contour: NDArray[np.float32], thickness: int, colours: _Colours) -> None:
    """Draw the closed line: a dark edge on luma, then the bright core on all planes, antialiased."""
    luma, chroma = [fixed_point(contour, 1)], [fixed_point(contour, 2)]
    y, u, v = within
    cv2.polylines(y, luma, True, colours.dark, thickness + _edge(thickness), cv2.LINE_AA, FRACTION_BITS)
    cv2.polylines(y, luma, True, colours.bright[0], thickness, cv2.LINE_AA, FRACTION_BITS)
    for plane, value in ((u, colours.bright[1]), (v, colours.bright[2])):
        cv2.polylines(plane, chroma, True, value, (thickness + 1) // 2, cv2.LINE_AA, FRACTION_BITS)
