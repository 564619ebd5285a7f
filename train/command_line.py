"""How the commands of `train` run: one line for a user's error, and an exit code."""

import logging
import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from rtpolyp.errors import RtpolypError

__all__ = ["run_command_line"]


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
