"""Every command line of the project: one form of errors, one version."""

import importlib
import logging
from pathlib import Path

import cyclopts
import pytest

import rtpolyp
from rtpolyp.cli import run_command_line
from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app, run_app

ROOT = Path(__file__).parents[3]
SCRIPTS = [file.stem for file in sorted((ROOT / "scripts").glob("*.py")) if "make_app(" in file.read_text()]


def app_that_raises(error: Exception):
    app = make_app("python -m anything", "Raises.")

    @app.default
    def main() -> None:
        raise error

    return app


def test_a_list_of_files_follows_the_line_and_strangers_names_are_text(capsys):
    error = InputError(
        " 3: correct\x1b[31m", parameter="most_frames", listed=["a\nb.png: broken", "c.png: cut"]
    )
    assert run_app(app_that_raises(error), []) == 2
    assert capsys.readouterr().err == (
        "rtpolyp: --most-frames 3: correct\\x1b[31m\n  a\\nb.png: broken\n  c.png: cut\n"
    )


@pytest.mark.parametrize("tokens", [["--version"], ["run", "--version"], ["eval", "--version"]])
def test_every_command_tells_the_version(tokens, capsys):
    assert run_command_line(tokens) == 0
    assert capsys.readouterr().out == f"{rtpolyp.__version__}\n"


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_tells_the_version_and_errs_in_the_same_form(name, capsys):
    app = importlib.import_module(f"scripts.{name}").app
    assert run_app(app, ["--version"]) == 0
    assert capsys.readouterr().out == f"{rtpolyp.__version__}\n"
    assert run_app(app, ["--no-such-option"]) == 2
    assert capsys.readouterr().err.startswith(
        ("rtpolyp: Unknown option: ", "rtpolyp: Parameter --data requires")
    )


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["rnu"], 'Unknown command "rnu". Did you mean "run"?'),
        (["run", "--jsno", "x", "clip.mp4"], "Unknown option: --jsno. Did you mean --json?"),
        (["run", "-", "--jsno", "x"], "Unknown option: --jsno. Did you mean --json?"),
        (["run", "clip.mp4"], "clip.mp4: no such file; did you mean clips.mp4? give a video"),
        (["run", "clips.mp4", "--style", "otline"], 'Did you mean "outline"?'),
        (["run", "-dash.mp4"], "The file of that name is ./-dash.mp4"),
        (["eval", "imges"], "imges: no such folder; did you mean images? give a folder"),
        (["bench", "--engine", "pranet-fi"], "did you mean pranet-if?"),
    ],
)
def test_what_is_there_and_close_is_suggested(tokens, said, tmp_path, monkeypatch, capsys):
    for name in ("clips.mp4", "-dash.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run_command_line(tokens) == 2
    assert said in capsys.readouterr().err


def missing_segment() -> None:
    try:
        raise ImportError("libopenvino.so.2640: failed to map segment from shared object")
    except ImportError as exc:
        raise ImportError("Cannot import module 'rtpolyp.cli.run'") from exc


def no_memory() -> None:
    raise MemoryError


def no_permission() -> None:
    raise PermissionError(13, "Permission denied", "clinic/images")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (missing_segment, "libopenvino.so.2640: failed to map segment from shared object; give the program"),
        (no_memory, "memory is used up; end other programs, or ask for less at once"),
        (
            no_permission,
            "clinic/images: permission denied; ask for the right to use it and to enter its folder",
        ),
    ],
)
def test_what_a_system_refuses_is_said_in_one_line(command, message, capfd, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    app = cyclopts.App(name="tool")
    app.default(command)
    assert run_app(app, []) == 2
    said = capfd.readouterr().err
    assert said.startswith(f"rtpolyp: {message}")
    assert said.count("\n") == 1


def test_a_bug_keeps_its_traceback():
    app = cyclopts.App(name="tool")

    @app.default
    def broken() -> None:
        import there_is_no_such_module  # noqa: F401

    with pytest.raises(ModuleNotFoundError):
        run_app(app, [])
