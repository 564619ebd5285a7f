"""Recordings: everything that a session writes beside snapshots and its log, each on a thread of its own."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from typing_extensions import Self

from rtpolyp.errors import RtpolypError
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.live.threaded_sink import ThreadedSink
from rtpolyp.live.worker import run_together
from rtpolyp.video.contract import LiveSource
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.json_sink import JsonSink
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.video_sink import VideoSink

__all__ = ["Recordings"]


class Recordings:
    """The overlay's video, the raw one, and the results' JSON lines, as far as they are asked for.

    The raw recording is a copy of the source's packets, and so the session's `tap`; with `deidentify`, when
    what comes must not be kept, it is a second video of the frames without overlay. Raises OutputError or
    InputError where one cannot be opened; what fails later ends alone, and stands in `errors`.
    """

    def __init__(
        self,
        source: LiveSource,
        options: LiveOptions,
        header: Mapping[str, Any],
        telemetry: Telemetry,
        *,
        capacity: int,
    ) -> None:
        self._overlay: ThreadedSink | None = None
        self._blanked: ThreadedSink | None = None
        self._results: ThreadedSink | None = None
        self._tap: RawRecorder | None = None

        def video(path: Path) -> ThreadedSink:
            return ThreadedSink(str(path), VideoSink(path, source, audio=options.audio), capacity, telemetry)

        try:
            if options.output is not None:
                self._overlay = video(options.output)
            if options.raw is not None and options.deidentify:
                self._blanked = video(options.raw)
            elif options.raw is not None:
                self._tap = source.tap = RawRecorder(options.raw, source)
            if options.json is not None:
                sink = JsonSink(options.json, header, source)
                self._results = ThreadedSink(str(options.json), sink, capacity, telemetry)
        except BaseException:
            self.close()
            raise

    @property
    def videos(self) -> list[RtpolypError | None]:
        """For each video that is recorded: what ended it early, None while it goes on."""
        return [part.error for part in (self._overlay, self._blanked, self._tap) if part is not None]

    def errors(self) -> Iterator[RtpolypError]:
        """What ended early."""
        yield from (error for error in self.videos if error is not None)
        if self._results is not None and self._results.error is not None:
            yield self._results.error

    def write_picture(self, drawn: Frame, clean: Frame, found: Segmentation | None) -> None:
        """Take a picture, with everything drawn on it and without; its planes must not change any more."""
        if self._overlay is not None:
            self._overlay.write(drawn, found)
        if self._blanked is not None:
            self._blanked.write(clean, found)

    def write_result(self, frame: Frame, found: Segmentation) -> None:
        """Take what was found in a frame."""
        if self._results is not None:
            self._results.write(frame, found)

    def close(self) -> None:
        """Finish all of them at once, once nothing comes any more, within 1.3 s; later calls do nothing."""
        parts = (self._overlay, self._blanked, self._results, self._tap)
        run_together([part.close for part in parts if part is not None])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
