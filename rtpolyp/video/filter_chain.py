"""FilterChain: a straight libavfilter chain for frames of one layout."""

from collections.abc import Sequence

import av
from av.filter import Graph

__all__ = ["FilterChain"]


class FilterChain:
    """Frames in, filtered frames out; for one thread, one size and one pixel format.

    Input frames are referenced, never copied or written to. `steps` are pairs of a filter's name and its
    arguments, e.g. ("scale", "352:352:flags=area").
    """

    def __init__(self, like: av.VideoFrame, steps: Sequence[tuple[str, str]]) -> None:
        graph = Graph()
        graph.threads = 1  # the cores belong to the engine
        self._source = graph.add(
            "buffer",
            f"video_size={like.width}x{like.height}:pix_fmt={like.format.name}:"
            f"time_base={like.time_base or '1/1'}:pixel_aspect=1/1:"
            f"colorspace={int(like.colorspace)}:range={int(like.color_range)}",
        )
        self._sink = graph.add("buffersink")
        middle = [graph.add(name, arguments) for name, arguments in steps]
        graph.link_nodes(self._source, *middle, self._sink)
        graph.configure()
        self._graph = graph  # its nodes hold weak references only

    def __call__(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Push one frame, or None at the end, and return what comes out: mostly one frame."""
        self._source.push(frame)
        out = []
        while True:
            try:
                out.append(self._sink.pull())
            except (BlockingIOError, EOFError):
                return out  # type: ignore[return-value]  # a buffersink gives video frames
