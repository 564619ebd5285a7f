"""Frames' names in a run's JSON lines come from strangers, and files are called by them."""

import json
from pathlib import Path

import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import InputError
from rtpolyp.labels import FORMATS, read_run


def write_run(path: Path, name: object) -> Path:
    contour = [[1, 1], [9, 1], [9, 9]]
    polyp = {"contour": contour, "confidence": 0.9, "box": [1, 1, 8, 8]}
    lines = [
        {"schema": 1, "source": "a.mp4", "size": [32, 32]},
        {"index": 0, "name": name, "polyps": [polyp]},
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "/tmp/evil",
        "..",
        "",
        ".",
        "..\\evil",
        "C:evil",
        "a\0b",
        "a\x1b[2Jb",
        "//h/evil",
    ],
)
def test_a_name_never_leads_out_of_the_folder(tmp_path: Path, name: str):
    with pytest.raises(InputError, match="a name that no frame has"):
        read_run(write_run(tmp_path / "run.jsonl", name))


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_is_written_beside_the_folder(tmp_path: Path, form: str, capsys: pytest.CaptureFixture[str]):
    inside = tmp_path / "inside"
    inside.mkdir()
    run = write_run(inside / "run.jsonl", "../../../evil")
    assert run_command_line(["export", str(run), "--format", form, "-o", str(inside / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["inside", "run.jsonl"]


def test_names_in_folders_below_are_kept(tmp_path: Path):
    assert read_run(write_run(tmp_path / "run.jsonl", "day 1/000001")).frames[0].file == "day 1/000001.png"
