"""run_app: what ends a command ends it in one line."""

import logging

import cyclopts
import pytest

from rtpolyp.terminal.command_line import run_app


def missing_segment() -> None:
    try:
        raise ImportError("libopenvino.so.2640: failed to map segment from shared object")
    except ImportError as exc:
        raise ImportError("Cannot import module 'rtpolyp.cli.run'") from exc


def no_memory() -> None:
    raise MemoryError


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (missing_segment, "libopenvino.so.2640: failed to map segment from shared object; give the program"),
        (no_memory, "memory is used up; end other programs, or ask for less at once"),
    ],
)
def test_too_little_memory_is_said_in_one_line(command, message, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    app = cyclopts.App(name="tool")
    app.default(command)
    assert run_app(app, []) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"tool: {message}")
    assert said.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    app = cyclopts.App(name="tool")

    @app.default
    def broken() -> None:
        import there_is_no_such_module  # noqa: F401

    with pytest.raises(ModuleNotFoundError):
        run_app(app, [])
