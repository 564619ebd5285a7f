"""run_app: one command of a cyclopts application, from its tokens to its exit code."""

import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, MappingProxyType

import cyclopts

from rtpolyp.errors import RtpolypError
from rtpolyp.printable import printable
from rtpolyp.terminal.line_writer import LineWriter, logging_to

__all__ = ["run_app"]


def run_app(app: cyclopts.App, tokens: Sequence[str], flags: Mapping[str, str] = MappingProxyType({})) -> int:
    """Parse and run one command; return its exit code, 2 after a one-line error, 130 after Ctrl-C.

    An error of the library that begins with a parameter's name begins with its flag here: with that of
    `flags`, or else with the name as a flag is spelled.
    """
    name = app.name[0]
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with LineWriter(sys.stderr) as errors, logging_to(errors, f"{name}: %(message)s"):
        try:
            code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        except RtpolypError as exc:
            print(f"{name}: {printable(_with_flag(exc, flags))}", file=errors)
            return 2
        except cyclopts.CycloptsError as exc:  # some of its lines are lists
            print(f"{name}: {exc}", file=errors)
            return 2
        except MemoryError:
            print(f"{name}: memory is used up; end other programs, or ask for less at once", file=errors)
            return 2
        except ImportError as exc:
            if (library := _not_loaded(exc)) is None:
                raise
            print(f"{name}: {library}; give the program more memory, or install it again", file=errors)
            return 2
        except KeyboardInterrupt:
            return 130
        return code or 0


def _with_flag(error: RtpolypError, flags: Mapping[str, str]) -> str:
    if error.parameter is None:
        return str(error)
    flag = flags.get(error.parameter, "--" + error.parameter.replace("_", "-"))
    return flag + str(error).removeprefix(error.parameter)


def _not_loaded(error: BaseException) -> str | None:
    """What the system says of a compiled library that it cannot load; None for a module that is missing."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error)
    return printable(text) if "shared object" in text or "DLL load failed" in text else None


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """SIGTERM ends a run as Ctrl-C does: outputs are closed and stay whole, whatever comes after."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _wait_for_the_end)
    raise KeyboardInterrupt


def _wait_for_the_end(signum: int, frame: FrameType | None) -> None:
    """It is under way; rtpolyp.terminal.timely_exit makes an end of it where it takes too long."""
