import filecmp
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from tests.train.table.made_up import ARM_SHIFTS, write_cells
from train.command_line import run_command_line
from train.table.__main__ import app
from train.table.curves import draw_curves
from train.table.design import RESULTS
from train.table.design_report import as_markdown
from train.table.design_results import read_design
from train.table.engine_rates import EngineRates, read_engine_rates
from train.table.forest import LINE, draw_forest
from train.table.paper import ROWS


def report(folder: Path) -> int:
    return run_command_line(app, ["report", "--results", str(folder)])


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its headings."""
    lines = text.split(f"{heading}\n", 1)[1].split("\n")
    start = next(index for index, line in enumerate(lines) if line.startswith("|")) + 2
    table = lines[
        start : start + next(i for i, line in enumerate([*lines[start:], ""]) if not line.startswith("|"))
    ]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_cells(folder, 128)
    return folder


def test_the_committed_report_is_what_the_committed_rows_give(tmp_path):
    """CI's check: every figure can be made again by one command."""
    copy = shutil.copytree(RESULTS, tmp_path / "paper")
    for name in ("report.md", "forest.svg", "curves.svg"):
        (copy / name).unlink()
    assert report(copy) == 0
    for name in ("report.md", "forest.svg", "curves.svg"):
        assert filecmp.cmp(copy / name, RESULTS / name, shallow=False), (
            f"docs/results/paper/{name} is not what the cells give: run python -m train.table report"
        )


def test_an_empty_queue_is_told_plainly(tmp_path):
    assert report(tmp_path) == 0
    text = (tmp_path / "report.md").read_text()
    assert "**0 of 128 cells are finished, 128 are missing.**" in text
    cells = rows(text, "## Cells")
    assert len(cells) == 128
    assert {line[4] for line in cells} == {"missing"}
    assert {line[1] for line in rows(text, "### Kvasir-SEG, paper80-10-10")} == {"missing"}
    assert rows(text, "## The pooled gain")[0][2:5] == [
        "–",
        "–",
        "two networks with two pairs each are needed",
    ]
    assert ET.fromstring((tmp_path / "forest.svg").read_text()).tag.endswith("svg")


def test_a_partial_queue_gives_what_it_can(tmp_path):
    write_cells(tmp_path, 25)  # two rounds of Kvasir-SEG, and five cells more
    text = as_markdown(read_design(tmp_path), None)
    assert "**25 of 128 cells are finished, 103 are missing.**" in text
    gains = rows(text, "## Gain of each network")
    assert [line[2] for line in gains[:5]] == ["3", "3", "2", "2", "2"]
    assert rows(text, "## The pooled gain")[0][2:4] == ["5", "12"]
    assert [line[2] for line in gains[5:]] == ["0"] * 10
    ablations = rows(text, "## What of the module helps")
    assert all(line[1:] == ["–"] * 6 for line in ablations)


def test_a_whole_queue_says_so_and_finds_what_was_put_in(whole):
    text = as_markdown(read_design(whole), None)
    assert "All 128 cells are finished." in text
    assert "missing" not in text
    pooled = rows(text, "## The pooled gain")
    assert [line[2:4] for line in pooled] == [["5", "25"]] * 2 + [["5", "15"]] * 4
    gain = float(pooled[0][4].split()[0])
    assert gain == pytest.approx(ARM_SHIFTS["IF"], abs=0.003)
    low, high = (float(end) for end in pooled[0][4].split("[")[1].rstrip("]").split(","))
    assert low < gain < high
    (unet, *_) = rows(text, "## What of the module helps")
    assert float(unet[1].split()[0]) == pytest.approx(ARM_SHIFTS["sum"], abs=0.006)
    assert float(unet[6].split()[0]) == pytest.approx(ARM_SHIFTS["IF"] - ARM_SHIFTS["wide"], abs=0.006)


def test_table_1_stands_beside_the_papers_figures(whole):
    results = read_design(whole)
    table = rows(as_markdown(results, None), "### Kvasir-SEG, paper80-10-10")
    assert [line[0] for line in table] == [row.title for row in ROWS.values()]
    assert table[0][4:] == ["0.794 / 0.763", "0.822 / 0.792", "+0.028 / +0.029"]
    dice = [scored.figures.values["dice"].mean() for scored in
            results.seeds("kvasir-seg:paper80-10-10", "fcn", "plain").values()]  # fmt: skip
    assert table[0][1].startswith(f"{np.mean(dice):.3f} / ")
    assert table[0][1].endswith(f" ± {np.std(dice, ddof=1):.3f}")
    by_sequence = rows(as_markdown(results, None), "### CVC-612, sequence80-10-10")
    assert by_sequence[0][4:] == ["–", "–", "–"]  # the paper has none


def test_costs_are_counted_and_rates_come_from_their_run(whole):
    results = read_design(whole)
    fcn = rows(as_markdown(results, None), "## Cost")[0]
    assert fcn == ["FCN", "plain", "2,959,348", "0.267", "0.267", "–", "–", "–"]
    rates = EngineRates(
        "one run",
        {"fcn IF": {"float32": 101.4, "best": 202.6, "best_precision": "int8", "plan_bytes": 2_500_000}},
    )
    text = as_markdown(results, rates)
    assert "Frames a second of the exported engine: one run." in text
    assert rows(text, "## Cost")[1] == [
        "FCN", "IF", "5,080,025", "0.409", "0.338", "101", "203 (int8)", "2.5"
    ]  # fmt: skip


def test_broken_rates_are_named(whole, tmp_path, capsys):
    assert read_engine_rates(tmp_path / "engines.json") is None
    copy = shutil.copytree(whole, tmp_path / "paper")
    (copy / "engines.json").write_text("{}")
    assert report(copy) == 2
    assert (
        "engines.json: not the rates of the arms (KeyError('source')). Measure them"
        in capsys.readouterr().err
    )


def test_the_forest_has_a_mark_for_each_network_and_each_pooled_gain(whole):
    picture = ET.fromstring(draw_forest(read_design(whole)))
    marks = [(element.tag.rpartition("}")[2], element.get("class")) for element in picture]
    assert marks.count(("rect", "mean")) == 15
    assert marks.count(("polygon", "pooled")) == 3
    assert marks.count(("path", "paper")) == 10  # it has no split by sequence
    assert marks.count(("circle", "seed")) == 5 * (5 + 3 + 3)
    lines = {float(element.get("y")) for element in picture if element.get("class") == "mean"}
    assert all(abs(one - other) >= LINE for one in lines for other in lines if one != other)


def test_the_curves_have_a_line_for_each_cell_of_a_pair_that_falls_with_its_loss(whole):
    picture = ET.fromstring(draw_curves(read_design(whole)))
    lines = [element for element in picture if element.tag.endswith("polyline")]
    assert [line.get("class") for line in lines].count("IF") == 5 * (5 + 3 + 3) == len(lines) / 2
    points = [tuple(map(float, point.split(","))) for point in lines[0].get("points").split()]
    panel = next(element for element in picture if element.get("class") == "panel")
    left, top, width, height = (float(panel.get(name)) for name in ("x", "y", "width", "height"))
    assert points == [
        (left + width / 5, top),  # a loss of 2.5 lies above the panel
        (left + width / 2, top + height / 2),
        (left + width, top + height * 0.75),
    ]


def test_cells_of_other_settings_are_refused(whole, tmp_path, capsys):
    copy = shutil.copytree(whole, tmp_path / "paper")
    file = next(copy.glob("*/unet.efficientnet-lite0.ImageNet/seed0/cell.json"))
    file.write_text(file.read_text().replace('"steps": 500', '"steps": 501'))
    assert report(copy) == 2
    assert "was trained with other settings: steps 501 → 500" in capsys.readouterr().err
