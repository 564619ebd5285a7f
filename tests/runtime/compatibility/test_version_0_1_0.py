"""What version 0.1.0 wrote and took still is read, written and taken: bundle, JSON lines, command lines.

The files in `version_0_1_0/` are that version's own and never change; a new field or flag may join them.
"""

import dataclasses
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtpolyp.cli import app, run_command_line, spelled_out
from rtpolyp.inference.bundle import load_bundle
from tests.runtime.red_disc import disc_clip

FOLDER = Path(__file__).parent / "version_0_1_0"
LINES = [json.loads(line) for line in (FOLDER / "command_lines.jsonl").read_text().splitlines()]
FREE = ("rtpolyp", "backend")  # of the header: versions and words of the machine
PIXELS = 0.3  # another libx264 or OpenVINO rounds otherwise
SHARE = 0.02


def test_its_bundle_gives_its_json_lines(tmp_path, monkeypatch):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    disc_clip(tmp_path / "disc.mp4", frames=3)
    words = [
        "run",
        "disc.mp4",
        "--json",
        "now.jsonl",
        "--engine",
        str(FOLDER / "bundle"),
        "--precision",
        "fp32",
    ]
    assert run_command_line(words) == 0
    then, now = (
        [json.loads(line) for line in path.read_text().splitlines()]
        for path in (FOLDER / "results.jsonl", tmp_path / "now.jsonl")
    )
    header = {name: value for name, value in then[0].items() if name not in FREE}
    assert header == {name: now[0][name] for name in header}
    assert now[0].keys() >= then[0].keys()
    frames = [line for line in now[1:] if "index" in line]  # a line of another kind has none
    for old, new in zip(then[1:], frames, strict=True):
        assert {name: new[name] for name in old if name != "polyps"} == {
            name: value for name, value in old.items() if name != "polyps"
        }
        for was, is_ in zip(old["polyps"], new["polyps"], strict=True):
            assert is_.keys() >= was.keys()
            assert is_["track"] == was["track"]
            assert is_["box"] == pytest.approx(was["box"], abs=1)
            assert is_["area"] == pytest.approx(was["area"], rel=SHARE)
            assert is_["confidence"] == pytest.approx(was["confidence"], abs=SHARE)
            assert extent(is_["contour"]) == pytest.approx(extent(was["contour"]), abs=PIXELS)


def test_its_bundle_says_the_same_of_itself():
    bundle, spec = load_bundle(FOLDER / "bundle"), json.loads((FOLDER / "bundle" / "spec.json").read_text())
    assert {name: plain(getattr(bundle.spec, name)) for name in spec} == spec


@pytest.mark.parametrize("then", LINES, ids=[line["line"] for line in LINES])
def test_its_command_lines_mean_the_same(then):
    expected = {name: value for name, value in then.items() if name != "line"}
    everything, changed = meaning(then["line"])
    assert {name: everything[name] for name in expected} == expected
    assert changed <= expected.keys()


def extent(contour: list[list[float]]) -> list[float]:
    """The first and last column and row that a contour reaches."""
    return [bound(axis) for axis in zip(*contour, strict=True) for bound in (min, max)]


def meaning(line: str) -> tuple[dict[str, object], set[str]]:
    """A command line's command and values by name, however flags are grouped, and which are no default."""
    _, *tokens = shlex.split(line)
    _, bound, _ = app.parse_args(spelled_out(tokens), exit_on_error=False, print_error=False)
    found = list(values(bound.arguments))
    everything = {name: plain(value) for name, value, _ in found}
    changed = {name for name, value, default in found if value != default}
    return {"command": tokens[0], **everything}, changed


def values(arguments: dict[str, object]) -> Iterator[tuple[str, object, object]]:
    """Name, value, and the default; what is no flag of a group is there only where it was given."""
    for name, value in arguments.items():
        if dataclasses.is_dataclass(value):
            for one in dataclasses.fields(value):
                yield one.name, getattr(value, one.name), one.default
        else:
            yield name, value, dataclasses.MISSING


def plain(value: object) -> object:
    """As JSON has it."""
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, (bool, int, float, dict)) else str(value)
