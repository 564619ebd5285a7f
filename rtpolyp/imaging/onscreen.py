"""Badges, track ids and the off-screen arrow, on the Y, U and V planes of a 4:2:0 frame.

Badges stand in three of the frame's corners, outermost, where the border around an endoscope's picture is;
the fourth, top left, is where towers write the patient's name, and stays free. Each kind has a sign of its
own shape besides its colour. The colours are two of Okabe's and Ito's, which colour-blind people tell apart
(https://jfly.uni-koeln.de/color/), and the overlay's cyan.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.overlay import PEN, Planes, fixed_point, ink
from rtpolyp.imaging.polyp import Polyp

__all__ = [
    "FROZEN",
    "MUTED",
    "OVERLAY_OFF",
    "RECORDING",
    "RESEARCH_USE",
    "Badge",
    "ai_off",
    "ai_reduced",
    "draw_arrow",
    "draw_badges",
    "draw_track_ids",
    "load_font",
    "no_signal",
    "polyp_alert",
    "recording_failed",
]

Corner = Literal["top-right", "bottom-left", "bottom-right"]
Kind = Literal["alert", "fault", "notice", "recording", "mark"]
Colour = tuple[float, float, float]  # luma in [0, 1], Cb and Cr in [-0.5, 0.5]

BLACK: Colour = 0.0, 0.0, 0.0
PANEL: Colour = 0.14, 0.0, 0.0
GREY: Colour = 0.75, 0.0, 0.0
WHITE: Colour = 0.96, 0.0, 0.0
YELLOW: Colour = 0.85, -0.33, 0.07  # Okabe's and Ito's (240, 228, 66)
VERMILION: Colour = 0.47, -0.26, 0.26  # theirs (213, 94, 0)
LOOKS: dict[Kind, tuple[Colour, Colour, Colour]] = {  # of text, sign and panel
    "alert": (BLACK, BLACK, PEN),
    "fault": (BLACK, BLACK, YELLOW),
    "notice": (WHITE, WHITE, PANEL),
    "recording": (WHITE, VERMILION, PANEL),
    "mark": (GREY, GREY, BLACK),
}
FONT = cv2.FONT_HERSHEY_DUPLEX
WIDEST = 0.42  # of the frame's width, for a badge


@dataclass(frozen=True)
class Badge:
    """A panel with a title and, smaller and below, a line that says why.

    ASCII: any other character becomes `?`. The line is cut off where it leaves the panel.
    """

    title: str
    kind: Kind
    corner: Corner
    detail: str = ""

    def bare(self) -> "Badge":
        """Without the detail, which may name the source: for whatever is de-identified."""
        return replace(self, detail="")


FROZEN = Badge("FROZEN", "fault", "top-right")
OVERLAY_OFF = Badge("OVERLAY OFF", "notice", "top-right")
MUTED = Badge("MUTED", "notice", "top-right")
RECORDING = Badge("REC", "recording", "bottom-right")
RESEARCH_USE = Badge("RESEARCH USE", "mark", "bottom-right")


def ai_off(reason: str) -> Badge:
    """No outlines and no alerts: the engine is not there, or late."""
    return Badge("AI OFF", "fault", "bottom-left", reason)


def ai_reduced(reason: str) -> Badge:
    """The engine cannot keep up and does less; `reason` says what."""
    return Badge("AI REDUCED", "notice", "bottom-left", reason)


def no_signal(reason: str) -> Badge:
    """The source gives no frames: the picture is the last one."""
    return Badge("NO SIGNAL", "fault", "bottom-left", reason)


def polyp_alert(track: int | None) -> Badge:
    """The alert policy's alert, with the polyp's track id."""
    return Badge("POLYP" if track is None else f"POLYP #{track}", "alert", "top-right")


def recording_failed(reason: str) -> Badge:
    """A recording has ended early; what was written stays readable."""
    return Badge("REC FAILED", "fault", "bottom-right", reason)


def draw_badges(planes: Planes, badges: Sequence[Badge], *, full_range: bool) -> None:
    """Draw badges in place, stacked from each corner towards the middle in the order given.

    With the badges that can be due at once, the middle two fifths of the frame, in either direction, stay
    free from 288 lines on. `full_range` says that luma spans 0 to 255 and not 16 to 235. Measured at 1080
    lines on an AMD EPYC: 0.16 ms for a badge with a new text, 0.01 ms from then on.
    """
    height, width = planes[0].shape
    cap = _cap(width, height)
    margin = _even(cap / 2)
    filled = {"top-right": margin, "bottom-left": margin, "bottom-right": margin}
    for badge in badges:
        stamp = _badge(badge, cap, int(WIDEST * width), full_range)
        rows, columns = stamp.colour[0].shape
        x = margin if badge.corner == "bottom-left" else width - margin - columns
        y = filled[badge.corner] if badge.corner == "top-right" else height - filled[badge.corner] - rows
        _put(planes, stamp, x, y)
        filled[badge.corner] += rows + _even(cap / 4)


def draw_track_ids(planes: Planes, polyps: Sequence[Polyp], *, full_range: bool) -> None:
    """Write each tracked polyp's id, as `#3`, in place, at the upper right of its box."""
    height, width = planes[0].shape
    for polyp in polyps:
        if polyp.track is not None:
            stamp = _label(f"#{polyp.track}", _cap(width, height), full_range)
            x, y = polyp.box.x + polyp.box.width, polyp.box.y - stamp.colour[0].shape[0]
            _put(planes, stamp, x, y)


def draw_arrow(planes: Planes, picture: Rect, at: tuple[float, float], *, full_range: bool) -> None:
    """Draw an arrow in place that points out of `picture` at the point `at` of its edge (frame pixels)."""
    height, width = planes[0].shape
    cap = _cap(width, height)
    centre = np.array((picture.x + picture.width / 2, picture.y + picture.height / 2))
    ahead = (np.array(at) - centre) / max(1.0, float(np.hypot(*(np.array(at) - centre))))
    aside = np.array((-ahead[1], ahead[0]))
    tip = np.array(at) - 0.7 * cap * ahead
    back = tip - 2.0 * cap * ahead
    outline = np.array((tip, back + 1.1 * cap * aside, back + 0.5 * cap * ahead, back - 1.1 * cap * aside))
    colour, luma = ink(PEN, full_range), fixed_point(outline.astype(np.float32), 1)
    edge = max(2, round(cap / 4))
    cv2.polylines(planes[0], [luma], True, ink(BLACK, full_range)[0], edge, cv2.LINE_AA, 4)
    cv2.fillPoly(planes[0], [luma], colour[0], cv2.LINE_AA, 4)
    for plane, value in zip(planes[1:], colour[1:], strict=True):
        cv2.fillPoly(plane, [fixed_point(outline.astype(np.float32), 2)], value, cv2.LINE_AA, 4)


def load_font() -> None:
    """Get this thread ready to draw: OpenCV 5 unpacks its font at each thread's first text, for 20 ms."""
    _text_width("A", 9)


@dataclass(frozen=True)
class _Stamp:
    """A small picture of even size, ready to be put on a frame's planes."""

    colour: Planes
    opacity: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None  # of luma and of chroma; None: opaque


def _cap(width: int, height: int) -> int:
    """Height of a title's capitals in pixels: 22 at 1024 and 23 at 1080 lines, never under 9."""
    return max(9, round(min(width, height) / 46))


def _even(pixels: float) -> int:
    return 2 * round(pixels / 2)


def _put(planes: Planes, stamp: _Stamp, x: int, y: int) -> None:
    """Put the stamp's upper left corner at or near x, y, inside the frame, at even pixels."""
    rows, columns = stamp.colour[0].shape
    height, width = planes[0].shape
    x, y = max(0, min(x, width - columns)) // 2 * 2, max(0, min(y, height - rows)) // 2 * 2
    for index, (plane, colour) in enumerate(zip(planes, stamp.colour, strict=True)):
        step = 2 if index else 1
        under = plane[y // step : (y + rows) // step, x // step : (x + columns) // step]
        colour = colour[: under.shape[0], : under.shape[1]]  # a frame smaller than the badge
        if stamp.opacity is None:
            under[:] = colour
        else:
            opacity = stamp.opacity[min(index, 1)][: under.shape[0], : under.shape[1]].astype(np.uint16)
            under[:] = (colour * opacity + under * (255 - opacity)) // 255


@functools.lru_cache(maxsize=64)  # a few texts a session; those that count seconds push the old ones out
def _badge(badge: Badge, cap: int, widest: int, full_range: bool) -> _Stamp:
    text_colour, sign_colour, panel = LOOKS[badge.kind]
    pad, rim, small = round(0.55 * cap), round(0.45 * cap), max(8, round(0.72 * cap))
    indent = pad if badge.kind == "mark" else 2 * pad + cap
    title = _fitting(badge.title, cap, widest - indent - pad)
    detail = _fitting(badge.detail, small, widest - indent - pad)
    width = indent + max(_text_width(title, cap), _text_width(detail, small)) + pad
    height = 2 * rim + cap + (small + round(0.7 * cap) if detail else 0)
    text = np.zeros((height + height % 2, width + width % 2), np.uint8)
    sign = np.zeros_like(text)
    _write(text, title, indent, rim + cap, cap)
    _write(text, detail, indent, height - rim, small)
    if badge.kind != "mark":
        _draw_sign(sign, badge.kind, pad, rim, cap)
    return _stamp(panel, [(text_colour, text), (sign_colour, sign)], full_range)


@functools.lru_cache(maxsize=64)
def _label(text: str, cap: int, full_range: bool) -> _Stamp:
    """Text in the pen's colour with a dark halo, and nothing around it."""
    pad = max(2, cap // 3)
    width, height = _text_width(text, cap) + 2 * pad, cap + 2 * pad
    mask = np.zeros((height + height % 2, width + width % 2), np.uint8)
    _write(mask, text, pad, pad + cap, cap)
    reach = 2 * max(1, round(cap / 11)) + 1
    halo = np.asarray(
        cv2.dilate(mask, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))), np.uint8
    )
    return _stamp(BLACK, [(PEN, mask)], full_range, (halo, _halved(halo)))


def _stamp(
    ground: Colour,
    layers: Sequence[tuple[Colour, NDArray[np.uint8]]],
    full_range: bool,
    opacity: tuple[NDArray[np.uint8], NDArray[np.uint8]] | None = None,
) -> _Stamp:
    """Paint `layers`, each a colour through a mask `(H, W) uint8` of even size, on the ground's colour."""
    planes = []
    for index, value in enumerate(ink(ground, full_range)):
        masks = [mask if index == 0 else _halved(mask) for _, mask in layers]
        plane = np.full(masks[0].shape, value, np.float32)
        for (colour, _), mask in zip(layers, masks, strict=True):
            plane += (ink(colour, full_range)[index] - plane) * (mask / np.float32(255))
        planes.append(np.rint(plane).astype(np.uint8))
    y, u, v = planes
    return _Stamp((y, u, v), opacity)


def _halved(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    size = mask.shape[1] // 2, mask.shape[0] // 2
    return np.asarray(cv2.resize(mask, size, interpolation=cv2.INTER_AREA), np.uint8)


def _scale(cap: int) -> float:
    return cap / 21  # OpenCV's font at scale 1 has capitals of 21 to 22 pixels


def _text_width(text: str, cap: int) -> int:
    (width, _), _ = cv2.getTextSize(text, FONT, _scale(cap), 1)
    return int(width) if text else 0


def _fitting(text: str, cap: int, widest: int) -> str:
    """The text in ASCII, cut off with two dots where it is too wide."""
    text = whole = text.encode("ascii", "replace").decode()
    kept = len(whole)
    while kept and _text_width(text, cap) > widest:
        kept -= 1
        text = whole[:kept].rstrip() + ".."
    return text


def _write(mask: NDArray[np.uint8], text: str, x: int, baseline: int, cap: int) -> None:
    cv2.putText(mask, text, (x, baseline), FONT, _scale(cap), 255, 1, cv2.LINE_AA)


def _draw_sign(mask: NDArray[np.uint8], kind: Kind, x: int, y: int, side: int) -> None:
    """A badge's sign in a square: ring, warning triangle, diamond or disc."""
    centre, radius, pen = (x + side // 2, y + side // 2), side // 2, max(2, side // 6)
    if kind == "alert":
        cv2.circle(mask, centre, radius - pen // 2, 255, pen, cv2.LINE_AA)
    elif kind == "recording":
        cv2.circle(mask, centre, radius, 255, -1, cv2.LINE_AA)
    elif kind == "notice":
        diamond = [(centre[0], y), (x + side, centre[1]), (centre[0], y + side), (x, centre[1])]
        cv2.fillPoly(mask, [np.array(diamond, np.int32)], 255, cv2.LINE_AA)
    else:
        triangle = np.array([(x + side // 2, y), (x + side, y + side - 1), (x, y + side - 1)], np.int32)
        cv2.fillPoly(mask, [triangle], 255, cv2.LINE_AA)
        cv2.line(mask, (centre[0], y + side * 2 // 5), (centre[0], y + side * 3 // 5), 0, max(1, side // 8))
        cv2.line(mask, (centre[0], y + side * 4 // 5), (centre[0], y + side * 4 // 5), 0, max(1, side // 8))
