"""FrameNormaliser: whatever a decoder gives, made upright, progressive and 8-bit planar 4:2:0."""

import math
import struct
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import av

from rtpolyp.video.colour import BT601, BT709, FULL, HD_LINES, LIMITED, MATRICES, UNSPECIFIED, Colour
from rtpolyp.video.filter_chain import FilterChain
from rtpolyp.video.input_options import Deinterlace

__all__ = ["FrameNormaliser"]

GREY = ("gray", "ya", "mono")  # how libav's grey formats begin
RGB = 0  # of H.273's matrices
HDR = {16: ("PQ", "smpte2084"), 18: ("HLG", "arib-std-b67")}  # by H.273's transfer characteristics
PRIMARIES = {1: "bt709", 9: "bt2020", 11: "smpte431", 12: "smpte432"}
PLANAR_420 = ("yuv420p", "yuvj420p")
# What to do for each display matrix, as its four rotation terms (a, b, c, d): a pixel at (x, y) is shown at
# (a x + c y, b x + d y). No vflip: it turns line strides negative, which NumPy views would have to undo.
ORIENTATIONS: dict[tuple[int, ...], tuple[tuple[str, str], ...]] = {
    (1, 0, 0, 1): (),
    (0, 1, -1, 0): (("transpose", "clock"),),
    (0, -1, 1, 0): (("transpose", "cclock"),),
    (0, 1, 1, 0): (("transpose", "cclock_flip"),),
    (0, -1, -1, 0): (("transpose", "clock_flip"),),
    (-1, 0, 0, 1): (("hflip", ""),),
    (-1, 0, 0, -1): (("transpose", "clock"), ("transpose", "clock")),
    (1, 0, 0, -1): (("transpose", "clock"), ("transpose", "clock"), ("hflip", "")),
}
# One frame out per frame in, with the same pts; progressive frames between interlaced ones pass untouched,
# unless the user says that all are interlaced.
DEINTERLACE = {
    "auto": ("bwdif", "mode=send_frame:deint=interlaced"),
    "on": ("bwdif", "mode=send_frame:deint=all"),
}


class FrameNormaliser:
    """Converts the frames of one stream or the picture of one image; for one thread.

    Frames that already conform pass through as they are, which is the common case and costs nothing. An
    interlaced frame switches deinterlacing on for the rest of the stream; it holds one frame back, which
    `flush` releases. `deinterlace="on"` is for capture devices that do not mark such frames: all count as
    interlaced, the upper field first unless a frame says otherwise; with "off" none does. Images keep the
    pixel grid of their file, as `imaging.preprocess.read_image` does, so that they fit their masks:
    `upright=False`. HDR becomes BT.709 by libswscale's colour management. `remark` is told of that, and of
    colours that cannot be read as they are meant.
    """

    def __init__(
        self,
        *,
        upright: bool = True,
        deinterlace: Deinterlace = "auto",
        remark: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._remark = remark
        self._upright = upright
        self._deinterlace = deinterlace
        self._interlaced = deinterlace == "on"
        self._layout: tuple[object, ...] | None = None
        self._chain: FilterChain | None = None
        self._colour = Colour()
        self._time_base = Fraction(1)
        self.transposed = False  # the last frame lay on its side: width and height have changed places

    def __call__(self, native: av.VideoFrame) -> list[av.VideoFrame]:
        """Take one decoded frame; return the frames that are ready, usually this one."""
        self._interlaced |= native.interlaced_frame and self._deinterlace != "off"
        if int(native.colorspace) not in (RGB, UNSPECIFIED, *MATRICES):
            self._remark(
                f"its colour matrix (code {int(native.colorspace)}) is unknown: its colours are wrong"
            )
            native.colorspace = UNSPECIFIED
        layout = native.format.name, native.width, native.height, self._interlaced, Colour.of(native)
        ready: list[av.VideoFrame] = []
        if layout != self._layout:
            ready = self.flush()
            self._build(native)
            self._layout = layout
        return ready + self._finish([native] if self._chain is None else self._chain(native))

    def flush(self) -> list[av.VideoFrame]:
        """The frames still held back, at the end of the stream or of a layout."""
        held = [] if self._chain is None else self._finish(self._chain(None))
        self._chain = self._layout = None
        return held

    def _build(self, native: av.VideoFrame) -> None:
        turn = ORIENTATIONS[_display_matrix(native) if self._upright else (1, 0, 0, 1)]
        self.transposed = sum(name == "transpose" for name, _ in turn) == 1
        convert, self._colour = _to_planar_420(native, still=not self._upright)
        if (transfer := int(native.color_trc)) in HDR:
            self._remark(f"HDR ({HDR[transfer][0]}), shown and analysed as BT.709")
        steps = [*([DEINTERLACE[self._deinterlace]] if self._interlaced else []), *turn, *convert]
        self._time_base = native.time_base or Fraction(1)
        self._chain = FilterChain(native, steps) if steps else None

    def _finish(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        for frame in frames:
            unit = (frame.time_base or self._time_base) / self._time_base  # bwdif counts in half ticks
            if unit != 1:
                frame.pts = None if frame.pts is None else round(frame.pts * unit)
                frame.duration = round(frame.duration * unit)
            frame.time_base = self._time_base
            colour = self._colour
            frame.colorspace, frame.color_range = colour.matrix, colour.range
            frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
            frame.pict_type = 0  # or the encoder would repeat the decoder's choice of I and P frames
        return frames


def _to_planar_420(native: av.VideoFrame, *, still: bool) -> tuple[list[tuple[str, str]], Colour]:
    """The filters that make a frame planar 4:2:0, and the colour tags of what comes out.

    YUV keeps its matrix and range. RGB becomes what JPEG is in a still, what players expect in a video. HDR
    is mapped to SDR so that its reference white, and what is darker, look as they do in SDR.
    """
    colour, pixels = Colour.of(native), native.format
    size = native.width, native.height
    if colour.transfer in HDR:
        return _to_sdr(colour, size, is_yuv=not pixels.is_rgb)
    if pixels.name in PLANAR_420:
        return [], colour
    full, scale = pixels.name.startswith("yuvj"), "flags=area+accurate_rnd"
    if pixels.is_rgb or pixels.has_palette:
        matrix = BT709 if not still and min(size) >= HD_LINES else BT601
        colour = Colour(matrix, FULL if still else LIMITED, colour.primaries, colour.transfer)
        full = still
        scale += f":out_color_matrix={colour.swscale_matrix(size)}:out_range={colour.swscale_range}"
    elif pixels.name.startswith(GREY):  # libswscale takes all grey for full range: so its samples stay
        scale += ":in_range=full:out_range=full"
    return [("scale", scale), ("format", "yuvj420p" if full else "yuv420p")], colour


def _to_sdr(colour: Colour, size: tuple[int, int], *, is_yuv: bool) -> tuple[list[tuple[str, str]], Colour]:
    """The filters from PQ or HLG to BT.709; a table is made for them first, in some 4 s of processor time."""
    given = f"in_transfer={HDR[colour.transfer][1]}:in_primaries={PRIMARIES.get(colour.primaries, 'bt2020')}"
    if is_yuv:
        given += f":in_color_matrix={colour.swscale_matrix(size)}:in_range={colour.swscale_range}"
    wanted = "out_transfer=bt709:out_primaries=bt709:out_color_matrix=bt709:out_range=limited"
    steps = [("scale", f"{given}:{wanted}:intent=relative_colorimetric"), ("format", "yuv420p")]
    return steps, Colour(BT709, LIMITED, BT709, BT709)


def _display_matrix(native: av.VideoFrame) -> tuple[int, ...]:
    """The rotation terms (a, b, c, d) of a frame's display matrix; the identity without a usable one."""
    terms: tuple[int, ...] = 1, 0, 0, 1
    try:
        entries: Any = native.side_data  # typed as a dict, but it iterates over its entries
        side_data = {entry.type.name: bytes(entry) for entry in entries}
    except ValueError:  # PyAV knows fewer types of side data than FFmpeg; the angle alone is always there
        angle = math.radians(native.rotation)
        cosine, sine = round(math.cos(angle)), round(math.sin(angle))
        terms = cosine, -sine, sine, cosine
    else:
        if "DISPLAYMATRIX" in side_data:
            a, b, _, c, d = struct.unpack("=9i", side_data["DISPLAYMATRIX"])[:5]
            terms = tuple(round(term / 65_536) for term in (a, b, c, d))  # 16.16 fixed point
    return terms if terms in ORIENTATIONS else (1, 0, 0, 1)
