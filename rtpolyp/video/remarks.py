"""Remarks: what a person should know of an input, said once and kept for the results."""

import logging

__all__ = ["Remarks"]

log = logging.getLogger(__name__)


class Remarks:
    """Whole lines on an input whose output is not what one would expect without them."""

    def __init__(self, name: str) -> None:
        self.lines: list[str] = []
        self._name = name

    def say(self, text: str) -> None:
        """Warn of it, once."""
        if text not in self.lines:
            self.lines.append(text)
            log.warning("%s: %s", self._name, text)
