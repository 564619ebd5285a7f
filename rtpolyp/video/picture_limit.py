"""limit_pixels: no video's picture is decoded that declares more pixels than the user allows."""

import av

from rtpolyp.video.stream_choice import NoPictureError

__all__ = ["limit_pixels"]

SLACK = 2**16  # pixels; libav counts lines as long as it stores them, up to a multiple of 64 pixels


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
    codec.options = {**codec.options, "max_pixels": str(2 * max_pixels + SLACK)}
