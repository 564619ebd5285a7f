from pathlib import Path

import pytest

from rtpolyp.cli import run_command_line
from tests.runtime.measure.test_comparison import frames, write


def test_compare_prints_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    theirs = frames(0)
    ours = write(tmp_path / "new.csv", {name: score + 0.02 for name, score in theirs.items()})
    assert run_command_line(["compare", str(ours), str(write(tmp_path / "old.csv", theirs))]) == 0
    output = capsys.readouterr().out
    assert "30 frames with a polyp in 30 groups" in output
    assert output.count("+0.0200") == 3 * 9  # difference and both ends of its interval, of nine figures


def test_compare_prints_few_groups(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    groups = {f"f{i}": f"sequence {i % 2}" for i in range(30)}
    files = [str(write(tmp_path / f"{seed}.csv", frames(seed), groups)) for seed in (0, 1)]
    assert run_command_line(["compare", *files]) == 0
    output = capsys.readouterr().out
    assert "no interval: 2 groups, 8 are needed" in output
    assert "sequence 1" in output


def with_precision(file: Path, precision: str) -> str:
    first, *rows = file.read_text().splitlines()
    file.write_text("\n".join([f"{first},precision", *(f"{row},{precision}" for row in rows)]) + "\n")
    return str(file)


def test_two_precisions_are_not_compared_unless_asked_for(tmp_path: Path, capsys) -> None:
    ours = with_precision(write(tmp_path / "new.csv", frames(0)), "int8")
    theirs = with_precision(write(tmp_path / "old.csv", frames(1)), "fp32")
    assert run_command_line(["compare", ours, theirs]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "new.csv ran in int8" in line
    assert "old.csv in fp32: score both with the same --precision, or compare them --anyway" in line
    assert run_command_line(["compare", ours, theirs, "--anyway"]) == 0
    assert run_command_line(["compare", ours, str(write(tmp_path / "older.csv", frames(1)))]) == 0


def test_compare_fails_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(write(tmp_path / "a.csv", frames(0)))
    other = str(write(tmp_path / "b.csv", frames(1, count=29)))
    assert run_command_line(["compare", file, other]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "b.csv: no figures of frame 'f29'" in line
