"""Paced: a file as a live source, played at its own pace."""

import dataclasses
import threading
import time
from collections.abc import Iterator

from typing_extensions import Self

from rtpolyp.errors import InputError
from rtpolyp.video.frame import Frame
from rtpolyp.video.source import Outage, PacketTap, Source

__all__ = ["Paced"]


class Paced:
    """Gives each frame of a video when it is due, counted from the first; it owns `source`.

    It never has an outage, and no packets are tapped: they are in the file. Raises InputError for images,
    which have no pace.
    """

    is_sequence = True
    outage: Outage | None = None
    tap: PacketTap | None = None
    codec = ""  # of no interest without packets

    def __init__(self, source: Source) -> None:
        if not source.is_sequence:
            raise InputError(f"{source.name}: images have no pace; leave --latest out")
        self._source, self._interrupted = source, threading.Event()
        self.name, self.path, self.audio = source.name, source.path, source.audio
        self.format, self.size, self.frame_rate = source.format, source.size, source.frame_rate
        self.frame_count, self.duration_seconds = source.frame_count, source.duration_seconds

    def __iter__(self) -> Iterator[Frame]:
        origin: float | None = None
        for frame in self._source:
            if origin is None:
                origin = time.monotonic() - frame.pts_seconds
            if self._interrupted.wait(max(0.0, origin + frame.pts_seconds - time.monotonic())):
                return
            yield dataclasses.replace(frame, captured_at=time.monotonic())

    def interrupt(self) -> None:
        """End the iteration, from any thread."""
        self._interrupted.set()

    def close(self) -> None:
        """Release the file; later calls do nothing."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
