"""No video's picture is decoded that declares more pixels than the user allows."""

import av

from rtpolyp.video.stream_choice import NoPictureError

__all__ = ["limit_pixels", "probing_limits"]

SLACK = 2**16  # pixels; libav counts lines as long as it stores them, up to a multiple of 64 pixels
MOST_STREAMS = 64  # of a container; libav's own limit is 1000, each with a decoder while it is looked at


def probing_limits(max_pixels: int) -> dict[str, str]:
    """Options of libav for opening an input, which decodes some pictures of every stream to know its traits.

    Without them a file of 6 MB took 6 GB and two minutes. Streams that a container without a header brings
    later (MPEG-TS, MPEG-PS, FLV) do not know the limit of pixels while they are looked at.
    """
    return {"max_pixels": _refused_from(max_pixels), "max_streams": str(MOST_STREAMS)}


def limit_pixels(stream: av.VideoStream, max_pixels: int) -> None:
    """Raise NoPictureError for what `stream` declares; the decoder refuses what grows beyond twice that.

    To be called before the first picture is decoded.
    """
    codec = stream.codec_context
    if codec.width * codec.height > max_pixels:
        raise NoPictureError(
            f"it declares {codec.width}x{codec.height} pixels, and {max_pixels:,} are allowed",
            "scale it down, or allow more by --max-pixels",
        )
    codec.options = {**codec.options, "max_pixels": _refused_from(max_pixels)}


def _refused_from(max_pixels: int) -> str:
    return str(2 * max_pixels + SLACK)
