"""When to alert: a second, longer delay than the outline's, for the badge and the tone."""

from collections.abc import Iterable
from dataclasses import dataclass

from rtpolyp.checks import require_number
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.tracking.tracker import DROP_MS

__all__ = ["DELAY_MS", "HOLD_MS", "Alert", "AlertCounters", "AlertPolicy"]

DELAY_MS = 200.0  # of continuous support; 5 frames at 25 frames/s
HOLD_MS = 500.0  # that an alert stays after its polyp was last outlined in a clear frame
TOLERANCE_MS = 0.01  # of timestamps in floating point


@dataclass(frozen=True)
class Alert:
    """The alert at one frame."""

    active: bool  # show the badge
    started: bool  # in this very frame and for the first time of this track: sound the tone
    track: int | None  # of the alert; the newest one where several are active
    since_seconds: float | None  # pts at which this track's alert began


@dataclass
class AlertCounters:
    """What has happened since the policy was made; `reset` of the policy leaves it alone."""

    activations: int = 0  # tracks that alerted
    suppressed_short: int = 0  # tracks that ended before the delay
    suppressed_quality: int = 0  # tracks that ended without an alert and were seen in suppressed frames
    delay_seconds: float = 0.0  # from a track's first outline to its alert, summed over the activations
    longest_delay_seconds: float = 0.0

    @property
    def suppressed(self) -> int:
        """Tracks that never alerted, for whatever reason."""
        return self.suppressed_short + self.suppressed_quality


@dataclass
class _Track:
    first_seconds: float  # pts of the first outline
    seen_seconds: float = 0.0  # pts of the last outline
    since_seconds: float | None = None  # pts from which each clear frame has supported it
    supported_seconds: float = 0.0  # pts of the last outline in a clear frame
    alert_seconds: float | None = None  # pts of its alert
    was_suppressed: bool = False


class AlertPolicy:
    """Alerts to a track once it has been outlined in every frame for `delay_ms`, and once in its life.

    The alert stays for `hold_ms` after the track's last outline, so that it does not flicker; a track that
    returns within that time goes on with its alert. Frames that are `suppressed_by` their quality support
    nothing. One instance serves one stream from one thread; time comes from timestamps alone.
    """

    def __init__(self, delay_ms: float = DELAY_MS, hold_ms: float = HOLD_MS) -> None:
        """Raises InputError on a delay or hold time that is negative or no number."""
        require_number("alert_delay_ms", delay_ms, least=0, example="milliseconds, e.g. 200")
        require_number("hold_ms", hold_ms, least=0, example="milliseconds, e.g. 500")
        self.delay_ms, self.hold_ms = delay_ms, hold_ms
        self.counters = AlertCounters()
        self._tracks: dict[int, _Track] = {}
        self._pts_seconds = float("-inf")

    def __call__(
        self, polyps: Iterable[Polyp], pts_seconds: float, *, suppressed_by: str | None = None
    ) -> Alert:
        """Take in a frame's tracked polyps; say whether there is an alert.

        `suppressed_by` names what is wrong with the frame, None when it is clear. A timestamp that does not
        advance starts anew.
        """
        if pts_seconds <= self._pts_seconds:
            self.reset()
        self._pts_seconds = pts_seconds
        outlined = sorted(polyp.track for polyp in polyps if polyp.track is not None)
        started = [number for number in outlined if self._starts(number, pts_seconds, suppressed_by)]
        for number, track in list(self._tracks.items()):
            if number not in outlined:
                track.since_seconds = None  # support has to begin again
                if 1000 * (pts_seconds - track.seen_seconds) > max(self.hold_ms, DROP_MS):
                    self._end(number)
        alerts = [
            (track.alert_seconds, number)
            for number, track in self._tracks.items()
            if track.alert_seconds is not None
            and 1000 * (pts_seconds - track.supported_seconds) <= self.hold_ms
        ]
        if not alerts:
            return Alert(active=False, started=False, track=None, since_seconds=None)
        since_seconds, newest = max(alerts)
        return Alert(active=True, started=bool(started), track=newest, since_seconds=since_seconds)

    def reset(self) -> None:
        """Forget all tracks, as at a cut between two sequences; the counters go on."""
        for number in list(self._tracks):
            self._end(number)
        self._pts_seconds = float("-inf")

    def _starts(self, number: int, pts_seconds: float, suppressed_by: str | None) -> bool:
        """Take in one outlined track; True when its alert begins with this frame."""
        track = self._tracks.setdefault(number, _Track(pts_seconds))
        track.seen_seconds = pts_seconds
        if suppressed_by is not None:
            track.since_seconds, track.was_suppressed = None, True
            return False
        track.supported_seconds = pts_seconds
        if track.since_seconds is None:
            track.since_seconds = pts_seconds
        waited_ms = 1000 * (pts_seconds - track.since_seconds)
        if track.alert_seconds is not None or waited_ms < self.delay_ms - TOLERANCE_MS:
            return False
        track.alert_seconds = pts_seconds
        delay_seconds = pts_seconds - track.first_seconds
        self.counters.activations += 1
        self.counters.delay_seconds += delay_seconds
        self.counters.longest_delay_seconds = max(self.counters.longest_delay_seconds, delay_seconds)
        return True

    def _end(self, number: int) -> None:
        track = self._tracks.pop(number)
        if track.alert_seconds is None and track.was_suppressed:
            self.counters.suppressed_quality += 1
        elif track.alert_seconds is None:
            self.counters.suppressed_short += 1
