"""Sinks: where frames and what was found in them go."""

from typing import Protocol

from typing_extensions import Self

from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.json_sink import JsonSink
from rtpolyp.video.png_sinks import ImageSink, MaskSink
from rtpolyp.video.video_sink import EncoderSettings, VideoSink

__all__ = ["EncoderSettings", "ImageSink", "JsonSink", "MaskSink", "Sink", "VideoSink"]


class Sink(Protocol):
    """Takes frames in display order; a context manager."""

    def write(self, frame: Frame, segmentation: Segmentation) -> None:
        """Take one frame, with the overlay already drawn on it, and what was found in it.

        Raises OutputError when it cannot be written; what was written before stays readable.
        """

    def close(self) -> None:
        """Finish the output; later calls do nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
