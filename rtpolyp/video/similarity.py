"""Similarity: how alike two pictures are, by libavfilter's own measures."""

import math
from collections.abc import Mapping
from types import MappingProxyType

import av
from av.filter import Graph

__all__ = ["MEASURES", "Similarity"]

MEASURES: Mapping[str, str] = MappingProxyType(  # a filter, and the figure of a frame among its metadata
    {"psnr": "lavfi.psnr.psnr.y", "ssim": "lavfi.ssim.Y", "vif": "lavfi.vif.scale.0"}
)


class Similarity:
    """Measures pairs of frames of one size and pixel format; for one thread."""

    def __init__(self, like: av.VideoFrame, measure: str) -> None:
        """`measure` is a key of MEASURES."""
        self._key = MEASURES[measure]
        self._graph = graph = Graph()
        graph.threads = 1
        arguments = (
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}:time_base=1/25:pixel_aspect=1/1:"
            f"colorspace={int(like.colorspace)}:range={int(like.color_range)}"
        )
        self._inputs = [graph.add("buffer", arguments) for _ in range(2)]
        compared, self._sink = graph.add(measure), graph.add("buffersink")
        for index, source in enumerate(self._inputs):
            source.link_to(compared, 0, index)
        compared.link_to(self._sink)
        graph.configure()

    def __call__(self, frame: av.VideoFrame, reference: av.VideoFrame) -> float:
        """Measure one pair, of luma: decibels for psnr, infinite where planes are equal; else 0 to 1."""
        for source, picture in zip(self._inputs, (frame, reference), strict=True):
            source.push(picture)
        text = self._sink.pull().metadata[self._key]
        return math.inf if text == "inf" else float(text)
