"""How the commands of `train` run: one line for a user's error, and an exit code."""

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from cyclopts import App

from rtpolyp.terminal.command_line import run_tokens

__all__ = ["run_command_line", "run_program"]


def run_command_line(app: App, tokens: Sequence[str]) -> int:
    """Parse and run one command; return its exit code: 0, 2 after a one-line error, 130 after a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    return run_tokens(app, tokens, sys.stderr)


def run_program(app: App) -> NoReturn:
    """Run a command of the process's own line; exit with `run_command_line`'s code.

    SIGTERM ends it as Ctrl-C does, so that what is half written is taken away; inside a training, `fit` saves
    first.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run_command_line(app, sys.argv[1:]))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
