"""The window that a run is shown in, or none with the reason said aloud."""

import logging

from rtpolyp.errors import BackendError
from rtpolyp.video.window import Window

__all__ = ["open_window"]

log = logging.getLogger(__name__)


def open_window(title: str, *, needed: bool = False) -> Window | None:
    """A window; without a screen None, or BackendError where nothing but the window was `needed`."""
    try:
        return Window(title)
    except BackendError as exc:
        if needed:
            raise BackendError(f"{exc}, e.g. -o out.mp4") from exc
        log.warning("%s; going on without a window", exc)
        return None
