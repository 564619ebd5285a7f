"""JSON lines from strangers: one line says what is wrong."""

import json
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.labels import read_run, run_file
from rtpolyp.report.lines import read_lines


@pytest.mark.parametrize("size", [[160, 1e308], [10**400, 1], [0, 5], [-1, -1], [2**16 + 1, 1]])
def test_an_impossible_size_is_refused(tmp_path: Path, size: list[float]):
    path = tmp_path / "run.jsonl"
    path.write_text(json.dumps({"schema": 1, "size": size}) + "\n")
    with pytest.raises(InputError, match=r"line 1.* impossible size"):
        list(read_lines(path))


def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(run_file, "MOST_BYTES", 100)
    path = tmp_path / "run.jsonl"
    path.write_text('{"schema": 1, "source": "' + "x" * 1000)
    with pytest.raises(InputError, match="line 1: not JSON"):
        read_run(path)
