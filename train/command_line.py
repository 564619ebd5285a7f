"""How the commands of `train` run: one line for a user's error, and an exit code."""

import logging
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from cyclopts import App, CycloptsError

from rtpolyp.errors import RtpolypError

__all__ = ["run_command_line", "run_protocol"]


def run_command_line(app: App, tokens: Sequence[str]) -> int:
    """Parse and run one command; return its exit code: 0, 2 after a one-line error, 130 after a signal."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except (RtpolypError, CycloptsError) as exc:
        print(f"error: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


def run_protocol(app: App) -> NoReturn:
    """Run a command that trains one network after another; exit with `run_command_line`'s code.

    SIGTERM between trainings ends it as Ctrl-C does; inside one, `fit` saves first.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run_command_line(app, sys.argv[1:]))


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
