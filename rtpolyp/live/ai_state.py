"""AiState and AiStatus: what the screen says of the AI, which is more than the AI knows of itself."""

from dataclasses import dataclass
from typing import Literal

from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.video.frame import Frame

__all__ = ["AiState", "AiStatus"]

HOLD_SECONDS = 0.5  # that AI OFF stays after it was last true: a badge at the limit would flicker


@dataclass(frozen=True)
class AiState:
    """How the AI is."""

    state: Literal["on", "reduced", "off", "starting"]
    reason: str = ""  # a few words for the screen and the log


LATE = AiState("off", "no result in time")


class AiStatus:
    """Adds to the AI plane's own state that results come too late for the frames; for one thread.

    Late means: the newest result has expired although frames came in all that time. Without frames nothing
    is late, nor is the first result after they return.
    """

    def __init__(self, max_age_seconds: float) -> None:
        self._max_age = max_age_seconds
        self._captured_at = self._resumed_at = 0.0  # of the newest frame; of the first one after a pause
        self._off: tuple[AiState, float] | None = None  # the last time it was off, and when that was

    def __call__(self, own: AiState, newest: FrameAnalysis | None, frame: Frame, now: float) -> AiState:
        """What to say at `now` with `frame` on the screen; `own` is the AI plane's state."""
        if frame.captured_at - self._captured_at > self._max_age:
            self._resumed_at = frame.captured_at
        self._captured_at = frame.captured_at
        working = own.state in ("on", "reduced")
        since = max(self._resumed_at, newest.captured_at if newest is not None else 0.0)
        if working and frame.captured_at > since and now - since > self._max_age:
            own = LATE
        if own.state == "off":
            self._off = own, now
        elif working and self._off is not None and now - self._off[1] < HOLD_SECONDS:
            return self._off[0]
        return own
