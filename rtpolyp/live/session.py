"""A live session: reader, AI, compositor, screen and recordings, wired together and ended in order."""

import contextlib
import logging
import threading
import time

from rtpolyp.errors import RtpolypError
from rtpolyp.live.alert_tone import AlertTone
from rtpolyp.live.broadcasting import Broadcasting
from rtpolyp.live.compositor import Compositor, Inputs, Screens, Shown, Tell, Timing
from rtpolyp.live.controls import Controls
from rtpolyp.live.engines import Engines
from rtpolyp.live.event_log import EventLog
from rtpolyp.live.inference_thread import Calls, InferenceThread
from rtpolyp.live.latest import Latest
from rtpolyp.live.live_options import LiveOptions, LiveSummary
from rtpolyp.live.metrics import serve_metrics
from rtpolyp.live.recordings import Recordings
from rtpolyp.live.screen import Screen
from rtpolyp.live.snapshot_writer import SnapshotWriter
from rtpolyp.live.source_reader import SourceReader
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.live.worker import run_together
from rtpolyp.run_header import run_header
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import Alert, AlertPolicy
from rtpolyp.video.contract import Display, LiveSource
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs

__all__ = ["frame_seconds", "run_session"]

log = logging.getLogger(__name__)

QUEUE_SECONDS = 1.0  # of frames that a disk may fall behind: what waits at the end has to be written in time
DEFAULT_RATE, LOWEST_RATE, HIGHEST_RATE = 25.0, 1.0, 240.0  # frames/s; others are a container's mistakes


def run_session(
    source: LiveSource,
    engines: Engines,
    settings: Settings,
    outputs: Outputs,
    options: LiveOptions,
    *,
    display: Display | None = None,
    stop: threading.Event | None = None,
) -> LiveSummary:
    """Show `source` with what `engines` find, until `stop` is set, the display's key for it, or its end.

    To be called on the main thread where there is a display. The session owns the engines from now on and
    closes them; the source stays the caller's. After `stop` it ends within two seconds. Raises InputError or
    OutputError for what cannot be opened; an output that fails later ends alone and stands in the summary.
    """
    with contextlib.ExitStack() as stack:
        session = _Session(source, engines, settings, outputs, options, display, stack)
        return session.run(stop or threading.Event())


def frame_seconds(source: LiveSource) -> float:
    """Time between two frames, as far as the source's statement can be believed."""
    rate = float(source.frame_rate or DEFAULT_RATE)
    return 1 / (rate if LOWEST_RATE <= rate <= HIGHEST_RATE else DEFAULT_RATE)


class _Session:
    """The wiring; what has to be closed in the end lies on `stack`, but for the parts with threads."""

    def __init__(
        self,
        source: LiveSource,
        engines: Engines,
        settings: Settings,
        outputs: Outputs,
        options: LiveOptions,
        display: Display | None,
        stack: contextlib.ExitStack,
    ) -> None:
        stack.callback(engines.close)
        header = run_header(source, engines.current, settings, options.crop)
        if options.deidentify:
            del header["source"]  # a file's name may be a patient's
        self._source, self._engines = source, engines
        self._outputs, self._options = outputs, options
        self._telemetry = telemetry = Telemetry()
        self._tell: Tell = _tell_nobody
        if (log_path := outputs.path("log")) is not None:
            self._tell = stack.enter_context(EventLog(log_path)).write
        self._metrics = None
        if options.metrics is not None:
            self._metrics = stack.enter_context(serve_metrics(telemetry, options.metrics))
        self._broadcasting: Broadcasting | None = None
        if options.serve is not None:
            self._broadcasting = Broadcasting(options.serve, header, deidentify=options.deidentify)
            stack.callback(self._broadcasting.close)
            log.warning("live page: %s", self._broadcasting.address.described())
        self._tone = stack.enter_context(AlertTone()) if options.tone else None
        self._snapshots: SnapshotWriter | None = None
        if (folder := outputs.path("snapshots")) is not None:
            writer = SnapshotWriter(folder, header, deidentify=options.deidentify)
            self._snapshots = stack.enter_context(writer)
        capacity = round(QUEUE_SECONDS / frame_seconds(source))
        self._recordings = Recordings(
            source, outputs, header, telemetry, capacity=capacity, deidentify=options.deidentify
        )
        stack.callback(self._recordings.close)
        self._wire(settings, display)

    def _wire(self, settings: Settings, display: Display | None) -> None:
        """Make the planes, from the source's reader to the screen; each has a thread, none begins yet."""
        source, options, telemetry = self._source, self._options, self._telemetry
        self._for_picture: Latest[Frame] = Latest(self._drop)
        self._for_ai: Latest[Frame] = Latest()
        pictures: Latest[Shown] = Latest(self._drop)
        mailboxes = self._for_picture, self._for_ai
        self._reader = SourceReader(source, mailboxes, options.crop, telemetry)
        self._screen = Screen(
            pictures,
            Controls(settings),
            telemetry,
            display=display,
            snapshot=self._take_snapshot,
            tell=self._tell,
            changed=self._broadcasting.changed if self._broadcasting else lambda controls: controls,
        )
        self._inference = InferenceThread(
            self._for_ai,
            self._engines,
            Calls(
                settings=lambda: self._screen.controls.settings,
                picture=lambda: self._reader.picture,
                on_result=self._recordings.write_result,
                on_alert=self._alert,
                on_drift=self._drifted,
            ),
            alerts=AlertPolicy(options.alert_delay_ms),
            telemetry=telemetry,
        )
        inputs = Inputs(
            controls=lambda: self._screen.controls,
            analysis=self._inference.results.peek,
            ai_state=lambda: self._inference.state,
            outage=lambda: source.outage,
            border=lambda: self._reader.border,
        )
        self._compositor = Compositor(
            self._for_picture,
            Screens(pictures, self._broadcasting.pictures if self._broadcasting else None),
            inputs,
            self._recordings,
            tell=self._tell,
            telemetry=telemetry,
            timing=Timing(frame_seconds(source), options.max_age_ms / 1000),
        )

    def run(self, stop: threading.Event) -> LiveSummary:
        """Start all parts, show, end all parts."""
        begun = time.monotonic()
        named = {} if self._options.deidentify else {"source": self._source.name}
        self._tell("start", **named, engine=self._engines.current.description)
        try:
            for part in (self._compositor, self._inference, self._reader):
                part.start()
            self._screen.run(stop)
        finally:
            self._end()
        seconds = time.monotonic() - begun
        errors = self._errors()
        self._tell("end", seconds=round(seconds, 3), counts=self._telemetry.counts(), errors=errors)
        return LiveSummary(
            seconds,
            tuple(self._telemetry.summary_lines(seconds)),
            self._outputs.written(),
            errors,
        )

    def _end(self) -> None:
        """Tell everything to end, then wait for all at once: a stuck part has its time beside the others.

        What takes pictures may end once the compositor has; the raw recording has to wait for the reader, and
        the recordings of results for the AI.
        """
        self._for_picture.close()
        self._for_ai.close()
        self._compositor.close()
        beside = [
            one.close for one in (self._metrics, self._broadcasting, self._snapshots) if one is not None
        ]
        run_together((self._reader.close, self._end_ai, self._recordings.close_pictures, *beside))
        self._recordings.close()

    def _end_ai(self) -> None:
        self._engines.close()
        self._inference.close()

    def _errors(self) -> tuple[RtpolypError, ...]:
        """What went wrong for good, in the order of its weight; raises what is a bug."""
        for bug in (self._compositor.error, self._reader.error, self._inference.error):
            if bug is not None and not isinstance(bug, RtpolypError):
                raise bug
        ended = self._reader.error
        return (*([ended] if isinstance(ended, RtpolypError) else ()), *self._recordings.errors())

    def _alert(self, alert: Alert) -> None:
        self._tell("alert", track=alert.track, pts_seconds=alert.since_seconds)
        if self._tone is not None and not self._screen.controls.muted:
            self._tone.play()

    def _drifted(self, bundle: str, how: str) -> None:
        """Say it once a session; the telemetry counts every stretch."""
        if self._telemetry.counts()["drifts"] == 1:
            self._source.remarks.say(f"unlike what {bundle} was trained on: {how}")
            self._tell("drift", bundle=bundle, how=how)

    def _take_snapshot(self, shown: Shown) -> None:
        if self._snapshots is None:
            log.warning("no snapshot: no folder was given for snapshots")
            return
        self._snapshots.take(
            shown.captured, shown.analysis, shown.settings, shown.badges, picture=self._reader.border
        )
        self._telemetry.count("snapshots")

    def _drop(self) -> None:
        self._telemetry.count("frames_dropped")


def _tell_nobody(event: str, **fields: object) -> None:
    """Events are for the log, and there is none."""
