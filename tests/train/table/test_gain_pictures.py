"""The images of the worst and the best gain, drawn from the weights of a finished table."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.imaging.mask_file import read_mask
from tests.train.table.tables import TINY
from train.data import Source, parse_source
from train.experiment.start import Start
from train.recipe import Recipe
from train.table.cells import Cell
from train.table.design_results import DesignResults, Scored
from train.table.figure import HEADING, MARGIN, PANEL
from train.table.gain_pictures import extremes, write_gain_pictures
from train.table.gains import Pairs
from train.table.plan import arms_of
from train.table.rows import read_rows

COLUMN = PANEL + 2 * MARGIN


@pytest.fixture
def source(clinic: Path) -> Source:
    return parse_source(f"{clinic}:half")


@pytest.fixture
def results(source: Source, finished: Path) -> DesignResults:
    """The two seeds of the finished table as a design of one network."""
    cells = [
        Cell("paper", "fcn", arm, spec, replace(Recipe(), seed=seed), (source,), Start(random=True))
        for seed in range(TINY["seeds"])
        for arm, spec in arms_of("fcn", "tiny").items()
    ]
    scored: dict[tuple[str, str, str], dict[int, Scored]] = {}
    for cell in cells:
        rows = read_rows(finished / cell.name / "clinic.half.csv")
        scored.setdefault((source.name, "fcn", cell.arm), {})[cell.recipe.seed] = Scored({}, rows)
    return DesignResults(cells, scored)


def test_extremes_are_of_the_mean_over_the_seeds():
    differences = np.array([[0.1, -0.3, 0.4, 0.0], [0.1, -0.1, -0.2, 0.3]])
    pairs = Pairs((0, 1), ("a", "b", "c", "d"), ("a", "b", "c", "d"), differences)
    (worst, loss), (best, gain) = extremes(pairs)
    assert (worst, best) == ("b", "d")
    assert (loss, gain) == pytest.approx((-0.2, 0.15))


def test_the_picture_has_both_images_with_truth_and_masks(results, source, finished, tmp_path):
    write_gain_pictures(results, [source], finished, tmp_path / "pictures")
    picture = cv2.imread(str(tmp_path / "pictures" / "clinic.half.png"))
    assert picture.shape[1] == 4 * COLUMN
    chosen = extremes(results.pairs(source.name, "fcn", "dice"))
    height = (picture.shape[0] - HEADING) // 2
    for line, image in enumerate(chosen):
        top = HEADING + line * height + MARGIN
        truth, plain, fused = (
            picture[top : top + height - 2 * MARGIN, left : left + PANEL, 0] > 127
            for left in (column * COLUMN + MARGIN for column in (1, 2, 3))
        )
        mask = read_mask(source.folder / "masks" / f"{image.name}.png").astype(np.uint8)
        expected = cv2.resize(mask, (PANEL, height - 2 * MARGIN)) > 0
        assert np.mean(truth == expected) > 0.99
        dice = [2 * (found & truth).sum() / (found.sum() + truth.sum()) for found in (plain, fused)]
        seed0 = [results.seeds(source.name, "fcn", arm)[0].figures for arm in ("plain", "IF")]
        exact = [figures.values["dice"][figures.names.index(image.name)] for figures in seed0]
        assert dice == pytest.approx(exact, abs=0.03)


def test_without_weights_there_is_no_picture_and_it_is_said(results, source, tmp_path, caplog):
    caplog.set_level("INFO")
    write_gain_pictures(results, [source], tmp_path / "empty", tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()
    assert "clinic:half: no pair whose weights lie in" in caplog.text
