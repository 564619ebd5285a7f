"""Window: frames on the screen, keys back."""

import os
import subprocess
import sys
from typing import Self

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError
from rtpolyp.video.frame import Frame

__all__ = ["CLOSED", "Window", "require_display"]

CLOSED = "closed"  # what `show` returns once the user has closed the window
KEYS = {9: "tab", 13: "enter", 27: "esc", 32: "space"}
PROBE = "import cv2; cv2.namedWindow('rtpolyp'); cv2.waitKey(1)"
PROBE_SECONDS = 20.0  # a cold start of OpenCV on a slow disk; it takes 0.4 s on a warm one


class Window:
    """A resizable window, for the process's main thread; a context manager.

    Raises BackendError when no window can be opened. That is found out in a process of its own, because
    OpenCV's Qt ends the process, without an exception, when it cannot reach a display.
    """

    def __init__(self, title: str) -> None:
        require_display()
        self._title = title
        self._open, self._shown = True, False
        cv2.namedWindow(title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)

    def show(self, frame: Frame | NDArray[np.uint8]) -> str | None:
        """Show one frame, or `(H, W, 3) uint8 BGR`; return the key pressed since the last one, if any.

        A key is its character, or "esc", "enter", "space" or "tab". Once the user has closed the window,
        nothing is shown any more and the answer is "closed".
        """
        if self._shown and not self._visible():
            self._open = False
        if not self._open:  # imshow would bring the window back
            return CLOSED
        if not self._shown:  # it opens at the size of its first picture
            size = frame.size if isinstance(frame, Frame) else frame.shape[1::-1]
            cv2.resizeWindow(self._title, *size)
            self._shown = True
        cv2.imshow(self._title, frame.to_bgr() if isinstance(frame, Frame) else frame)
        code = cv2.waitKey(1) & 0xFF
        return None if code == 0xFF else KEYS.get(code, chr(code))

    def close(self) -> None:
        """Close the window; later calls do nothing."""
        if self._open and self._visible():
            cv2.destroyWindow(self._title)
        self._open = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _visible(self) -> bool:
        try:
            return cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
        except cv2.error:  # OpenCV's Qt has shut down with its last window
            return False


def require_display() -> None:
    """Open a window in a process of its own; raises BackendError, with the reason, when that fails."""
    variables = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    if sys.platform.startswith("linux") and not any(os.environ.get(name) for name in variables):
        raise BackendError("no window: there is no display (DISPLAY is not set); write a file instead")
    try:
        probe = subprocess.run(
            [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as exc:
        raise BackendError("no window: the display does not answer; write a file instead") from exc
    if probe.returncode:
        said = next((line for line in probe.stderr.splitlines() if line.strip()), "OpenCV gave no reason")
        raise BackendError(f"no window: {said.strip()}; write a file instead")
