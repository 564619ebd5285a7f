"""Screen: the end of the picture plane, where pictures become visible and keys come in."""

import dataclasses
import threading
import time
from collections.abc import Callable

from rtpolyp.imaging.onscreen import FROZEN, draw_badges, load_font
from rtpolyp.live.compositor import Shown, Tell
from rtpolyp.live.controls import Controls, press
from rtpolyp.live.latest import Latest
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.video.contract import Display

__all__ = ["Screen"]

POLL_SECONDS = 0.1  # how soon `stop` is noticed where no pictures come


class Screen:
    """Takes each picture as it comes, shows it where there is a display, and times it.

    For the main thread, to which OpenCV's windows belong. A display that hangs holds up nobody but this:
    pictures that nobody takes are replaced by newer ones. While the picture is frozen, the one of that moment
    is shown; recordings and the AI go on.
    """

    def __init__(
        self,
        pictures: Latest[Shown],
        controls: Controls,
        telemetry: Telemetry,
        *,
        display: Display | None,
        snapshot: Callable[[Shown], None],
        tell: Tell,
        changed: Callable[[Controls], Controls] = lambda controls: controls,
    ) -> None:
        """`changed` gives the controls after what others than the keys ask for."""
        self.controls = controls  # replaced whole by each key
        self._pictures, self._telemetry = pictures, telemetry
        self._display, self._snapshot, self._tell = display, snapshot, tell
        self._changed = changed
        self._frozen: Shown | None = None
        self._shown_at: float | None = None  # time.monotonic() of the last picture

    def run(self, stop: threading.Event) -> None:
        """Show pictures until `stop`, the key for it, or the end of the stream."""
        load_font()
        self._tell_settings()
        while not (stop.is_set() or self.controls.quit):
            before = self.controls
            self.controls = self._changed(before)
            if _chosen(self.controls) != _chosen(before):
                self._tell_settings()
            shown = self._pictures.get(POLL_SECONDS)
            if shown is not None:
                self._show(shown)
            elif self._pictures.closed:
                return

    def _show(self, shown: Shown) -> None:
        if self._display is not None:
            visible = self._frozen or shown
            before = self.controls
            self.controls = press(self._display.show(visible.frame), before)
            if self.controls.snapshots > before.snapshots:
                self._snapshot(visible)
            if _chosen(self.controls) != _chosen(before):
                self._tell_settings()
            if not self.controls.frozen:
                self._frozen = None
            elif self._frozen is None:
                self._frozen = _frozen(shown)
        self._count(shown, time.monotonic())

    def _tell_settings(self) -> None:
        self._tell("settings", **_chosen(self.controls))

    def _count(self, shown: Shown, now: float) -> None:
        telemetry = self._telemetry
        telemetry.count("frames_displayed")
        if self._shown_at is not None:
            telemetry.time("display_gap", now - self._shown_at)
        self._shown_at = now
        if shown.analysis is not None:
            telemetry.count("frames_covered")
            telemetry.time("overlay_age", now - shown.analysis.captured_at)
        telemetry.ai_state = shown.ai.state


def _chosen(controls: Controls) -> dict[str, object]:
    """What the log says of the controls."""
    settings = controls.settings
    return {
        "threshold": settings.threshold,
        "style": settings.style,
        "overlay": settings.overlay,
        "muted": controls.muted,
    }


def _frozen(shown: Shown) -> Shown:
    frame, planes = shown.frame.writable()
    badges = (*shown.badges, FROZEN)
    draw_badges(planes, badges, full_range=frame.full_range)  # the others once more, where they are
    return dataclasses.replace(shown, frame=frame, badges=badges)
