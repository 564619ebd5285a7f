"""Broadcasting: the newest picture of a session to the web server, on a thread of its own."""

import contextlib
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from rtpolyp.errors import InputError
from rtpolyp.live.compositor import Shown
from rtpolyp.live.controls import Controls
from rtpolyp.live.latest import Latest
from rtpolyp.web.broadcast import Broadcast

__all__ = ["Broadcasting", "describe"]

MOST_POLYPS = 20  # told of a picture: what is said of it stays small
CLOSE_SECONDS = 0.5


class Broadcasting:
    """Scales and offers pictures at the server's pace; whatever becomes of it, the picture plane never waits.

    Raises what Broadcast raises.
    """

    def __init__(self, address: str, header: Mapping[str, Any], *, deidentify: bool) -> None:
        info = {name: header.get(name) for name in ("source", "engine", "backend", "rtpolyp")}
        self._broadcast, self._deidentify = Broadcast(address, info), deidentify
        self.address = self._broadcast.address
        self.pictures: Latest[Shown] = Latest()
        self._thread = threading.Thread(target=self._run, name="rtpolyp-broadcast", daemon=True)
        self._thread.start()

    def changed(self, controls: Controls) -> Controls:
        """The controls after what viewers asked for since the last call."""
        while (change := self._broadcast.change()) is not None:
            with contextlib.suppress(
                InputError, TypeError
            ):  # it was checked, by a process that may be broken
                controls = replace(controls, settings=replace(controls.settings, **change))
        return controls

    def close(self) -> None:
        """End the page."""
        self.pictures.close()
        self._thread.join(CLOSE_SECONDS)
        self._broadcast.close()

    def _run(self) -> None:
        while (shown := self.pictures.get()) is not None:
            self._broadcast.show(shown.frame, describe(shown, bare=self._deidentify))


def describe(shown: Shown, *, bare: bool = False) -> dict[str, Any]:
    """What the page says of a picture, as JSON holds it; `bare` leaves out what may name the source."""
    analysis, (width, height) = shown.analysis, shown.frame.size
    found = () if analysis is None else analysis.segmentation.polyps
    alert = analysis.alert if analysis is not None else None
    badges = (badge.bare() if bare else badge for badge in shown.badges)
    return {
        "pts_seconds": shown.frame.pts_seconds,
        "repeated": shown.repeated,
        "ai": asdict(shown.ai),
        "badges": [{"title": one.title, "detail": one.detail, "kind": one.kind} for one in badges],
        "alert": alert.track if alert is not None and alert.active else None,
        "age_ms": None if analysis is None else 1000 * (time.monotonic() - analysis.captured_at),
        "settings": {name: getattr(shown.settings, name) for name in ("threshold", "style", "overlay")},
        "polyps": [
            {
                "track": polyp.track,
                "confidence": round(polyp.confidence, 3),
                "area": round(polyp.area / (width * height), 5),
                "box": [polyp.box.x, polyp.box.y, polyp.box.width, polyp.box.height],
            }
            for polyp in found[:MOST_POLYPS]
        ],
    }
