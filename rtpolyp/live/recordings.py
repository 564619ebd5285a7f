"""Recordings: everything that a session writes beside snapshots and its log, each on a thread of its own."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

from rtpolyp.errors import InputError, RtpolypError
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.live.threaded_sink import ThreadedSink
from rtpolyp.live.worker import run_together
from rtpolyp.video.contract import LiveSource, Sink
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.outputs import Outputs, open_sinks
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.video_sink import VideoSink

__all__ = ["Recordings"]

log = logging.getLogger(__name__)


class Recordings:
    """The pictures' sinks, the raw recording, and the results' sinks, as far as they are asked for.

    The raw recording is a copy of the source's packets, and so the session's `tap`; with `deidentify`, when
    what comes must not be kept, it is a second video of the frames without overlay. Raises OutputError or
    InputError where one cannot be opened; what fails later ends alone, and stands in `errors`.
    """

    def __init__(
        self,
        source: LiveSource,
        outputs: Outputs,
        header: Mapping[str, Any],
        telemetry: Telemetry,
        *,
        capacity: int,
        deidentify: bool,
    ) -> None:
        self.deidentify = deidentify
        self._pictures: list[ThreadedSink] = []
        self._results: list[ThreadedSink] = []
        self._blanked: ThreadedSink | None = None
        self._tap: RawRecorder | None = None
        if outputs.audio and deidentify:
            raise InputError(
                ": the sound may name the patient, and is not recorded with --deidentify; leave it out",
                parameter="audio",
            )
        if outputs.audio and outputs.video is not None:
            log.warning("%s: without sound; %s has it", outputs.video, outputs.raw)

        def threaded(path: Path, sink: Sink) -> ThreadedSink:
            return ThreadedSink(str(path), sink, capacity, telemetry)

        try:
            for path, takes, sink in open_sinks(
                outputs, source, header, counts=telemetry.counts, times=telemetry.histograms
            ):
                (self._pictures if takes == "pictures" else self._results).append(threaded(path, sink))
            raw = outputs.path("raw")
            if raw is not None and deidentify:
                self._blanked = threaded(raw, VideoSink(raw, source, audio=False))
            elif raw is not None:
                self._tap = source.tap = RawRecorder(raw, source)
        except BaseException:
            self.close()
            raise

    @property
    def videos(self) -> list[RtpolypError | None]:
        """For each video that is recorded: what ended it early, None while it goes on."""
        parts = (*self._pictures, self._blanked, self._tap)
        return [part.error for part in parts if part is not None]

    def errors(self) -> Iterator[RtpolypError]:
        """What ended early."""
        ended = (*self.videos, *(sink.error for sink in self._results))
        yield from (error for error in ended if error is not None)

    def write_picture(self, drawn: Frame, clean: Frame, found: Segmentation | None) -> None:
        """Take a picture, with everything drawn on it and without; its planes must not change any more."""
        for sink in self._pictures:
            sink.write(drawn, found)
        if self._blanked is not None:
            self._blanked.write(clean, found)

    def write_result(self, frame: Frame, found: Segmentation) -> None:
        """Take what was found in a frame."""
        for sink in self._results:
            sink.write(frame, found)

    def close_pictures(self) -> None:
        """Finish those of pictures at once, once none comes any more; later calls do nothing."""
        parts = (*self._pictures, self._blanked)
        run_together([part.close for part in parts if part is not None])

    def close(self) -> None:
        """Finish all at once, when nothing comes any more, within a second; later calls do nothing."""
        parts = (*self._pictures, self._blanked, *self._results, self._tap)
        run_together([part.close for part in parts if part is not None])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
