"""scripts/score_robustness.py: each harm's drop, paired with the clean frames, in a table and as JSON."""

import json
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.measure.dataset import load_pairs
from rtpolyp.terminal.command_line import run_app
from scripts import score_robustness
from scripts.score_robustness import DEGRADATIONS, app, as_text, measure
from scripts.shipped.degradations import Degradation
from tests.runtime.discs import RedEngine


def test_what_is_erased_is_lost_and_what_is_left_alone_is_not(data: Path) -> None:
    fade = Degradation("fade", "{:g}", (0, 0.5, 1), lambda image, share, _: np.uint8(image * (1 - share)))
    counts: list[tuple[int, int]] = []
    pairs = load_pairs(data / "discs", "test")
    table = measure(RedEngine(), pairs, [fade], lambda *count: counts.append(count))
    assert counts[-1] == (4 * len(pairs), 4 * len(pairs))
    none, _, all_gone = (score.figures["at the operating point"] for score in table.scores)
    assert (none.drop, none.interval) == (0, (0, 0))
    assert all_gone.dice == 0
    assert all_gone.drop == pytest.approx(table.clean["at the operating point"])
    assert all_gone.interval.low > 0


def test_a_costly_middle_strength_is_named(data: Path) -> None:
    black = Degradation("black", "{:g}", (1, 2, 3), lambda image, *_: np.zeros_like(image))
    table = measure(RedEngine(), load_pairs(data / "discs", "test"), [black], lambda *_: None)
    assert "More than 0.03 lost at the middle strength: black 2." in as_text("red", {"discs": table})


def test_the_command_writes_a_row_a_degradation(
    data: Path, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_robustness, "DEGRADATIONS", DEGRADATIONS[2:5])
    arguments = [str(tiny), "--precision", "fp32", "--data", str(data), "-o", str(tmp_path / "results")]
    assert run_app(app, arguments) == 0
    text = (tmp_path / "results" / "robustness-tiny.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| JPEG")]
    assert len(rows) == 2  # at both points
    assert all(cell in rows[0] for cell in ("| 60: 0.", "| 30: 0.", "| 15: 0."))
    report = json.loads((tmp_path / "results" / "robustness-tiny.json").read_text())
    assert report["bundle"] == "tiny"
    (table,) = report["parts"].values()
    assert [score["middle"] for score in table["scores"]] == [False, True, False] * 3


def test_an_unknown_part_fails(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(app, [str(tiny), "--part", "mars"]) == 2
    assert "--part 'mars' is unknown; there are: kvasir-test, cvc-sequence-test" in capsys.readouterr().err
