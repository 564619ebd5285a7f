"""Cells that are compared are trained in one number format, whichever processors they meet."""

import json
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from tests.train.table.made_up import write_cells
from train.experiment.numerics import agree_on
from train.experiment.training import Machine
from train.optimisation import Numerics
from train.table import number_format
from train.table.design import designed_cells
from train.table.design_results import read_design
from train.table.number_format import FLOAT32, begun_in, numerics_of
from train.table.run import run_cells

BFLOAT16 = Numerics(channels_last=True, bfloat16=True)


@pytest.fixture(params=[False, True], ids=["without bfloat16", "with bfloat16"])
def here(request, monkeypatch) -> Numerics:
    monkeypatch.setattr(number_format, "has_bfloat16", lambda: request.param)
    return BFLOAT16 if request.param else FLOAT32


def test_the_first_cell_of_a_seed_takes_what_its_processor_is_fast_in(here, tmp_path):
    assert numerics_of(designed_cells(Path("data"))[0], tmp_path, tmp_path) == here


def test_what_is_begun_decides_where_nothing_is_finished(here, tmp_path):
    """A cell that is resumed keeps its format, so all that are compared with it take that one."""
    first, second = designed_cells(Path("data"))[:2]
    other = FLOAT32 if here == BFLOAT16 else BFLOAT16
    assert agree_on(other, begun_in(tmp_path, first)) == other
    assert numerics_of(second, tmp_path / "results", tmp_path) == other
    assert agree_on(here, begun_in(tmp_path, second)) == other  # who comes second follows
    next_seed = designed_cells(Path("data"))[10]
    assert numerics_of(next_seed, tmp_path / "results", tmp_path) == here


def test_all_others_of_that_seed_and_test_part_follow_it(here, tmp_path):
    write_cells(tmp_path, 1)  # in float32
    first_round, second_round = (designed_cells(Path("data"))[start : start + 10] for start in (0, 10))
    assert {numerics_of(cell, tmp_path, tmp_path) for cell in first_round} == {FLOAT32}
    assert {numerics_of(cell, tmp_path, tmp_path) for cell in second_round} == {here}


def test_a_cell_in_a_format_that_is_slow_here_waits_for_another_processor(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(number_format, "has_bfloat16", lambda: False)
    monkeypatch.setattr("train.table.run.check_test_is_unseen", lambda sources: None)
    monkeypatch.setattr("train.table.run.run_cell", lambda *_: pytest.fail("it was trained"))
    caplog.set_level("INFO")
    run_cells(
        designed_cells(Path("data"))[:2],
        tmp_path / "results",
        tmp_path / "runs",
        Machine(),
        None,
        numerics_of=lambda cell: BFLOAT16,
    )
    assert (
        "2 cells left, all held by other workers, or waiting for these or for another processor"
        in caplog.text
    )


def test_cells_of_two_formats_are_not_compared(tmp_path):
    _, fused = write_cells(tmp_path, 2)
    file = tmp_path / fused.name / "cell.json"
    content = json.loads(file.read_text()) | {"numerics": {"channels_last": True, "bfloat16": True}}
    file.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"its number format is not that of .*seed0"):
        read_design(tmp_path)
