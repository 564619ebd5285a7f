"""make_app and run_app: one command of the project, from its tokens to its exit code."""

import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import FrameType, MappingProxyType
from typing import Any, TextIO

import cyclopts

from rtpolyp.errors import RtpolypError
from rtpolyp.printable import printable
from rtpolyp.terminal.line_writer import LineWriter, logging_to

__all__ = ["PREFIX", "make_app", "run_app", "run_tokens"]

PREFIX = "rtpolyp: "  # of every error and warning, whichever command says it
NO_PERMISSION = "permission denied; ask for the right to use it and to enter its folder, or take a copy"


def make_app(name: str, description: str | None, **options: Any) -> cyclopts.App:
    """An application whose --version is rtpolyp's, and whose Ctrl-C is left to `run_app`."""
    return cyclopts.App(
        name=name,
        help=description,
        version=_version,
        suppress_keyboard_interrupt=False,
        **options,
    )


def _version() -> str:
    from importlib.metadata import version  # which takes a while to import

    return version("rtpolyp")


def run_app(app: cyclopts.App, tokens: Sequence[str], flags: Mapping[str, str] = MappingProxyType({})) -> int:
    """Parse and run one command; return its exit code, 2 after a one-line error, 130 after Ctrl-C.

    An error of the library that begins with a parameter's name begins with its flag here: with that of
    `flags`, or else with the name as a flag is spelled.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    with LineWriter(sys.stderr) as errors, logging_to(errors, f"{PREFIX}%(message)s"):
        return run_tokens(app, tokens, errors, flags)


def run_tokens(
    app: cyclopts.App,
    tokens: Sequence[str],
    errors: TextIO | LineWriter,
    flags: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """As `run_app`, for a command that has signals and logging of its own; errors are printed to `errors`."""
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except RtpolypError as exc:
        first = _with_flag(exc, flags).removesuffix("".join(f"\n  {line}" for line in exc.listed))
        print(f"{PREFIX}{printable(first)}", *map(printable, exc.listed), sep="\n  ", file=errors)
        return 2
    except cyclopts.CycloptsError as exc:  # some of its lines are lists
        print(f"{PREFIX}{exc}{_file_like_an_option(tokens)}", file=errors)
        return 2
    except PermissionError as exc:  # any path of a command may be without it, and the system names the path
        if exc.filename is None:
            raise
        print(f"{PREFIX}{printable(str(exc.filename))}: {NO_PERMISSION}", file=errors)
        return 2
    except MemoryError:
        print(f"{PREFIX}memory is used up; end other programs, or ask for less at once", file=errors)
        return 2
    except ImportError as exc:
        if (library := _not_loaded(exc)) is None:
            raise
        print(f"{PREFIX}{library}; give the program more memory, or install it again", file=errors)
        return 2
    except KeyboardInterrupt:
        return 130
    return code or 0


def _with_flag(error: RtpolypError, flags: Mapping[str, str]) -> str:
    if error.parameter is None:
        return str(error)
    flag = flags.get(error.parameter, "--" + error.parameter.replace("_", "-"))
    return flag + str(error).removeprefix(error.parameter)


def _file_like_an_option(tokens: Sequence[str]) -> str:
    """How to write the name of a file that begins as options do; empty where there is none."""
    for token in tokens:
        if token.startswith("-") and os.path.lexists(token):
            return f" The file of that name is ./{printable(token)}"
    return ""


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
