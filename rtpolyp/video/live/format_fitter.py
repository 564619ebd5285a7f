"""FormatFitter: frames of another size or colour, made what a stream began with."""

import av

from rtpolyp.video.colour import Colour
from rtpolyp.video.filter_chain import FilterChain
from rtpolyp.video.stream_format import StreamFormat

__all__ = ["FormatFitter"]


class FormatFitter:
    """Scales conformed frames into the format of a stream, with black borders where their shape differs.

    For one thread. Frames that fit pass through as they are.
    """

    def __init__(self, target: StreamFormat) -> None:
        self._target = target
        self._wanted = _layout(target.size, target.pixel_format, target.colour)
        self._layout: tuple[object, ...] | None = None  # that the chain takes
        self._chain: FilterChain | None = None

    def __call__(self, native: av.VideoFrame) -> av.VideoFrame:
        """Fit one frame; pts, time base and duration stay."""
        layout = _layout((native.width, native.height), native.format.name, Colour.of(native))
        if layout == self._wanted:
            return native
        if self._chain is None or layout != self._layout:
            self._chain, self._layout = self._build(native), layout
        (fitted,) = self._chain(native)
        fitted.pts, fitted.time_base, fitted.duration = native.pts, native.time_base, native.duration
        colour = self._target.colour
        fitted.colorspace, fitted.color_range = colour.matrix, colour.range
        fitted.color_primaries, fitted.color_trc = colour.primaries, colour.transfer
        return fitted

    def _build(self, native: av.VideoFrame) -> FilterChain:
        (width, height), source, target = self._target.size, Colour.of(native), self._target.colour
        scale = (
            f"{width}:{height}:force_original_aspect_ratio=decrease:flags=area+accurate_rnd:"
            f"in_range={source.swscale_range}:out_range={target.swscale_range}:"
            f"in_color_matrix={source.swscale_matrix((native.width, native.height))}:"
            f"out_color_matrix={target.swscale_matrix(self._target.size)}"
        )
        steps = [("scale", scale), ("pad", f"{width}:{height}:-1:-1"), ("format", self._target.pixel_format)]
        return FilterChain(native, steps)


def _layout(size: tuple[int, int], pixel_format: str, colour: Colour) -> tuple[object, ...]:
    """What makes two frames look alike: a tag that is missing counts as what players assume."""
    return size, pixel_format, colour.swscale_matrix(size), colour.swscale_range
