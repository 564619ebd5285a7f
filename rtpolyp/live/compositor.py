"""Compositor: the picture plane. It shows a picture at the stream's rate, whatever everything else does."""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rtpolyp.imaging import onscreen
from rtpolyp.imaging.deidentify import blank_outside
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.onscreen import Badge, draw_badges
from rtpolyp.live.ai_state import AiState, AiStatus
from rtpolyp.live.annotate import annotate
from rtpolyp.live.controls import Controls
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.live.latest import Latest
from rtpolyp.live.recordings import Recordings
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.live.threaded_sink import short_reason
from rtpolyp.settings import Settings
from rtpolyp.video.contract import Outage
from rtpolyp.video.frame import Frame

__all__ = ["Compositor", "Inputs", "Screens", "Shown", "Tell", "Timing"]

log = logging.getLogger(__name__)

NO_BORDER = Badge("REC BLANK", "fault", "bottom-right", "no border found: give a crop x,y,w,h")
REPEAT_AFTER = 1.5  # frame intervals without a new frame until the last one is shown again


class Tell(Protocol):
    """Takes an event for the log, at once; EventLog.write is one."""

    def __call__(self, event: str, **fields: object) -> None:
        """Tell an event with what JSON can hold of it."""


@dataclass(frozen=True)
class Inputs:
    """What the compositor looks at for each picture; every call answers at once."""

    controls: Callable[[], Controls]
    analysis: Callable[[], FrameAnalysis | None]  # the newest
    ai_state: Callable[[], AiState]
    outage: Callable[[], Outage | None]  # of the source
    border: Callable[[], Rect | None]  # of the endoscope's picture, frame pixels; None while not certain


@dataclass(frozen=True)
class Timing:
    """How long a picture and a result last."""

    interval_seconds: float  # between two frames
    max_age_seconds: float  # of a frame, until its result is not drawn any more


@dataclass(frozen=True)
class Shown:
    """One picture for the screen, and what it was made from."""

    frame: Frame  # with everything drawn on it
    captured: Frame  # as it came; the very same as `frame` where nothing was to draw
    analysis: FrameAnalysis | None  # the newest result; None once it has expired
    settings: Settings  # how it was drawn
    ai: AiState
    badges: tuple[Badge, ...]
    repeated: bool  # no new frame has come since the last picture


@dataclass(frozen=True)
class Screens:
    """Who sees the pictures."""

    own: Latest[Shown]
    published: Latest[Shown] | None = None  # what leaves this machine's screen: as recordings have it


class Compositor:
    """Draws results and badges on the newest frame, at the latest 1.5 frame intervals after the last picture.

    Runs on a thread of its own, which waits for `frames` and for nothing else. Each picture goes to `screens`
    and to the `recordings`, which leave out what does not grow in time. A result is drawn while the frame it
    was computed from left the decoder at most `timing.max_age_seconds` ago, so that it expires on a picture
    that stands still as well.
    """

    def __init__(
        self,
        frames: Latest[Frame],
        screens: Screens,
        inputs: Inputs,
        recordings: Recordings,
        *,
        tell: Tell,
        telemetry: Telemetry,
        timing: Timing,
    ) -> None:
        self._frames, self._screens, self._inputs = frames, screens, inputs
        self._recordings, self._timing = recordings, timing
        self._status = AiStatus(timing.max_age_seconds)
        self._tell, self._telemetry = tell, telemetry
        self._told_ai, self._told_outage, self._told_failures = AiState("starting"), False, 0
        self.error: Exception | None = None  # a bug, which ended the plane
        self._thread = threading.Thread(target=self._run, name="rtpolyp-picture", daemon=True)

    def start(self) -> None:
        """Begin to show."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the thread, which ends with `frames`."""
        self._thread.join()

    def _run(self) -> None:
        try:
            onscreen.load_font()
            newest = frame = self._frames.get()
            while newest is not None:
                begun = time.monotonic()
                self._show(newest, begun, repeated=frame is None)
                due = begun + REPEAT_AFTER * self._timing.interval_seconds
                frame = self._frames.get(max(0.0, due - time.monotonic()))
                if frame is None and self._frames.closed:
                    return
                newest = frame or newest
        except Exception as exc:  # the session closes everything in order, then raises it
            self.error = exc
        finally:
            self._screens.own.close()

    def _show(self, frame: Frame, now: float, *, repeated: bool) -> None:
        controls, outage = self._inputs.controls(), self._inputs.outage()
        settings = controls.settings
        newest = self._inputs.analysis()
        ai = self._status(self._inputs.ai_state(), newest, frame, now)
        self._tell_changes(ai, outage)
        fresh = newest is not None and now - newest.captured_at <= self._timing.max_age_seconds
        analysis = newest if fresh else None
        badges = self._badges(controls, analysis, outage, ai, now)
        drawn = annotate(frame, analysis, settings, badges)
        self._screens.own.put(Shown(drawn, frame, analysis, settings, ai, badges, repeated))
        if not self._recordings.videos and self._screens.published is None:
            return
        clean = frame
        if self._recordings.deidentify:
            clean = self._blanked(frame)
            drawn = annotate(clean, analysis, settings, badges)
        if self._screens.published is not None:
            self._screens.published.put(Shown(drawn, clean, analysis, settings, ai, badges, repeated))
        if not self._recordings.videos:
            return
        if repeated and outage is not None:  # recorded at its own time; both are copies by now
            drawn, clean = (
                _restamped(drawn, now),
                _restamped(clean, now) if self._recordings.deidentify else clean,
            )
        self._recordings.write_picture(drawn, clean, analysis.segmentation if analysis is not None else None)

    def _blanked(self, frame: Frame) -> Frame:
        """A copy with the endoscope's picture alone; with nothing as long as its border is not certain."""
        clean, planes = frame.writable()
        blank_outside(planes, self._inputs.border(), full_range=frame.full_range)
        draw_badges(planes, (onscreen.RESEARCH_USE,), full_range=frame.full_range)
        return clean

    def _tell_changes(self, ai: AiState, outage: Outage | None) -> None:
        if ai != self._told_ai:
            self._told_ai = ai
            self._tell("ai", state=ai.state, reason=ai.reason)
        if (outage is not None) != self._told_outage:
            self._told_outage = outage is not None
            self._tell("source", signal=outage is None, reason="" if outage is None else outage.reason)
            self._telemetry.count("source_outages", self._told_outage)
        failed = [error for error in self._recordings.videos if error is not None]
        for error in failed[self._told_failures :]:
            self._tell("recording failed", error=error)
        self._told_failures = len(failed)

    def _badges(
        self,
        controls: Controls,
        analysis: FrameAnalysis | None,
        outage: Outage | None,
        ai: AiState,
        now: float,
    ) -> tuple[Badge, ...]:
        badges = []
        if analysis is not None and analysis.alert.active:
            badges.append(onscreen.polyp_alert(analysis.alert.track))
        if outage is not None:
            badges.append(onscreen.no_signal(f"{outage.reason}, {now - outage.since:.0f} s"))
        if ai.state == "reduced":
            badges.append(onscreen.ai_reduced(ai.reason))
        elif ai.state != "on":
            badges.append(onscreen.ai_off(ai.reason))
        if not controls.settings.overlay:
            badges.append(onscreen.OVERLAY_OFF)
        videos = self._recordings.videos
        if videos:
            badges.append(onscreen.RESEARCH_USE)
        if None in videos and self._recordings.deidentify and self._inputs.border() is None:
            badges.append(NO_BORDER)
        elif None in videos:
            badges.append(onscreen.RECORDING)
        badges.extend(onscreen.recording_failed(short_reason(error)) for error in videos if error is not None)
        if controls.muted:
            badges.append(onscreen.MUTED)
        return tuple(badges)


def _restamped(frame: Frame, now: float) -> Frame:
    """The frame at the time `now`, as its source will go on counting after the outage: by the wall clock."""
    pts = frame.pts + round((now - frame.captured_at) / frame.time_base)
    frame.native.pts = pts
    return dataclasses.replace(frame, pts=pts)
