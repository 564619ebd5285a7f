"""No video's picture is decoded that declares more pixels than the user allows."""

import av

from rtpolyp.imaging.geometry import LEAST
from rtpolyp.video.stream_choice import NoPictureError

__all__ = ["limit_pixels", "probing_limits"]

SMALL_SLACK, SLACK = 2**16, 2**20  # pixels; libav counts lines as it stores them, in multiples of 64 pixels
MOST_STREAMS = 16  # of a container; libav's own limit is 1000, each with a decoder while it is looked at


def probing_limits(max_pixels: int) -> dict[str, str]:
    """Options of libav for opening an input, which decodes some pictures of every stream to know its traits.

    Without them a file of 6 MB took 6 GB and two minutes. Up to twice the limit a decoder still tells what
    it declares. Decoders of streams that come later (MPEG-TS, MPEG-PS, FLV) do not get the options;
    rtpolyp.video.access.opening bounds those by their memory.
    """
    return {"max_pixels": str(_twice(max_pixels)), "max_streams": str(MOST_STREAMS)}


def limit_pixels(stream: av.VideoStream, max_pixels: int) -> None:
    """Raise NoPictureError for what `stream` declares, too much or too little for a network.

    The decoder refuses what grows beyond that.

    To be called before the first picture is decoded.
    """
    codec = stream.codec_context
    if codec.width * codec.height > max_pixels:
        raise NoPictureError(
            f"it declares {codec.width}x{codec.height} pixels, and {max_pixels:,} are allowed",
            "scale it down, or allow more by --max-pixels",
        )
    if 0 < min(codec.width, codec.height) < LEAST:
        raise NoPictureError(
            f"its picture has {codec.width}x{codec.height} pixels, and {LEAST}x{LEAST} are the least",
            "give a larger one",
        )
    codec.options = {**codec.options, "max_pixels": str(min(_twice(max_pixels), max_pixels + SLACK))}


def _twice(max_pixels: int) -> int:
    return 2 * max_pixels + SMALL_SLACK
