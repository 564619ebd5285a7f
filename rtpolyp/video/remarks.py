"""Remarks: what a person should know of an input, said once and kept for the results."""

import logging

__all__ = ["Remarks"]

log = logging.getLogger(__name__)

MOST_LINES = 100  # a sender that is another one whenever it is asked would fill memory and log


class Remarks:
    """Whole lines on an input whose output is not what one would expect without them."""

    def __init__(self, name: str) -> None:
        self.lines: list[str] = []
        self._name = name

    def say(self, text: str) -> None:
        """Warn of it, once."""
        if self.note(text):
            log.warning("%s: %s", self._name, text)

    def note(self, text: str) -> bool:
        """Keep it for the results, where somebody else says it; whether it is new, and has room."""
        is_new = text not in self.lines and len(self.lines) < MOST_LINES
        if is_new:
            self.lines.append(text)
        return is_new
