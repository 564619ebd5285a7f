import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.statistics import bootstrap_difference, smallest_detectable
from train.experiment.training import recipe_as_json
from train.recipe import recipe_for
from train.table.cells import csv_name
from train.table.paper import ROWS
from train.table.plan import arms_of
from train.table.report import as_csv, as_markdown
from train.table.results import read_lines
from train.table.rows import read_rows


@pytest.fixture
def table(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "table")


def edit(file: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def figures(table: Path, net: str) -> list[np.ndarray]:
    files = sorted(table.glob(f"clinic.half/{net}.tiny.random/seed*/clinic.half.csv"))
    return [read_rows(file).values["dice"] for file in files]


def test_the_gain_is_paired_by_seed_and_image(table):
    plain, fused = read_lines(table)
    ours, theirs = np.stack(figures(table, "fcn-if")), np.stack(figures(table, "fcn"))
    groups = [f"test{index}" for index in range(10)]
    assert fused.gain.interval == bootstrap_difference(ours, theirs, groups)
    assert list(fused.gain.by_seed.values()) == pytest.approx((ours - theirs).mean(axis=1))
    assert fused.gain.detectable == smallest_detectable((ours - theirs).mean(axis=1))
    assert plain.gain is None


def test_a_seed_without_its_twin_has_no_part_in_the_gain(table):
    shutil.rmtree(table / "clinic.half/fcn.tiny.random/seed1")
    plain, fused = read_lines(table)
    assert (plain.seeds, fused.seeds) == ((0,), (0, 1))
    assert math.isnan(plain.dice[1])
    difference = figures(table, "fcn-if")[0].mean() - figures(table, "fcn")[0].mean()
    assert fused.gain.by_seed == pytest.approx({0: difference})
    assert math.isnan(fused.gain.detectable)
    assert f"| {plain.dice[0]:.3f} |" in as_markdown([plain, fused])  # without a deviation
    assert as_csv([plain, fused]).splitlines()[1].split(",")[9] == ""


def test_few_groups_are_shown_one_by_one(table):
    for file in table.glob("*/*/*/clinic.half.csv"):
        lines = file.read_text().splitlines()
        rows = [line.split(",") for line in lines]
        text = [",".join([row[0], f"sequence {index % 3}", *row[2:]]) for index, row in enumerate(rows)]
        file.write_text("\n".join([lines[0], *text[1:]]) + "\n")
    (_, fused) = read_lines(table)
    assert fused.gain.interval is None
    text = as_markdown([fused])
    assert "(below 8 groups, see below)" in text
    by_group = fused.gain.by_group
    assert f"Gain of FCN + IF, tiny, by group: sequence 0 {by_group['sequence 0']:+.3f}, sequence 1 " in text


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [("recipe", {"steps": 5}, "steps 4 → 5"), ("numerics", {"bfloat16": True}, "numerics ")],
)
def test_runs_of_other_settings_are_not_compared(name, value, told, table):
    edit(table / "clinic.half/fcn.tiny.random/seed1/cell.json", lambda cell: cell[name].update(value))
    with pytest.raises(InputError, match=rf"seed1/cell\.json: its settings are not those of .*: {told}.*own"):
        read_lines(table)


def test_a_lost_image_is_named(table):
    file = table / "clinic.half/fcn-if.tiny.random/seed1/clinic.half.csv"
    rows = file.read_text().splitlines(keepends=True)
    file.write_text("".join(row for row in rows if not row.startswith("test3,")))
    with pytest.raises(
        InputError, match=r"seed1/clinic\.half\.csv: image 'test3' is not in both runs of a pair"
    ):
        read_lines(table)


def as_the_paper_did(cell: dict) -> None:
    """The settings of the paper's line, by everything that is known of it."""
    row = ROWS["pranet"]
    spec = arms_of("pranet", row.encoder)[cell["arm"]]
    cell["row"], cell["initialisation"] = "pranet", row.initialisation
    cell["network"] |= {"name": spec.name, "encoder": spec.encoder, "head": None}
    cell["recipe"] = recipe_as_json(recipe_for("pranet", "author").changed(seed=cell["seed"]))


@pytest.mark.parametrize(
    ("protocol", "test", "plain", "fused"),
    [
        ("paper", "kvasir-seg:paper80-10-10", ("protocol",), ()),
        ("paper", "cvc-612:sequence80-10-10", ("protocol", "split"), ("split",)),
        ("paper", "cvc-612:paper80-10-10", ("protocol",), ()),
        ("pranet", "kvasir-seg:pranet900-100", (), ("protocol",)),
        ("paper", "clinic:half", ("protocol", "split"), ("split",)),
    ],
)
def test_what_forbids_to_compare_with_the_paper(protocol, test, plain, fused, table):
    for file in table.glob("*/*/*/cell.json"):
        edit(file, as_the_paper_did)
        edit(file, lambda cell: cell.update(protocol=protocol, tests={test: cell["tests"]["clinic:half"]}))
        file.with_name("clinic.half.csv").rename(file.with_name(csv_name(test)))
    assert [line.unlike_paper for line in read_lines(table)] == [plain, fused]
    text = as_markdown(read_lines(table))
    assert text.count("| comparable |") == (not plain) + (not fused)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda cell: cell["network"].update(encoder="efficientnet-lite0"), "encoder"),
        (lambda cell: cell.update(initialisation="random"), "initial weights"),
        (lambda cell: cell["recipe"].update(steps=500, epochs=0), "recipe"),
    ],
)
def test_without_the_papers_encoder_weights_or_recipe_a_line_is_not_comparable(change, reason, table):
    for file in table.glob("*/*/*/cell.json"):
        edit(file, as_the_paper_did)
        edit(file, change)
    for line in read_lines(table):
        assert reason in line.unlike_paper
