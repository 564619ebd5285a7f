import shutil

import cv2
import numpy as np
import pytest

from rtpolyp.imaging.mask_file import read_mask
from tests.train.table.tables import run_table
from train.table.figure import GREY, HEADING, MARGIN, PANEL, draw, typical
from train.table.rows import read_rows

COLUMN = PANEL + 2 * MARGIN
HEIGHT = round(PANEL * 80 / 96)  # of the generated frames


def test_draw_puts_panels_in_titled_columns():
    colours = [[(column, 40 * row, 255) for row in range(3)] for column in range(2)]
    columns = [
        (title, [np.full((50, PANEL, 3), colour, np.uint8) for colour in panels])
        for title, panels in zip(("image", "IF"), colours, strict=True)
    ]
    picture = draw(columns)
    assert picture.shape == (HEADING + 3 * (50 + 2 * MARGIN), 2 * COLUMN, 3)
    for column, panels in enumerate(colours):
        for row, colour in enumerate(panels):
            y, x = HEADING + MARGIN + row * (50 + 2 * MARGIN), MARGIN + column * COLUMN
            assert (picture[y : y + 50, x : x + PANEL] == colour).all()
    assert (picture[:HEADING, :COLUMN] < GREY).any()  # a title
    assert (picture[HEADING : HEADING + MARGIN] == GREY).all()


def test_typical_frames_are_a_poor_a_median_and_a_good_one(finished):
    files = sorted(finished.glob("*/*/seed0/clinic.half.csv"))
    names = typical(files)
    figures = [read_rows(file) for file in files]
    dice = dict(zip(figures[0].names, np.mean([run.values["dice"] for run in figures], axis=0), strict=True))
    ranked = sorted(dice.values())
    assert [dice[name] for name in names] == [ranked[1], ranked[4], ranked[8]]
    assert typical([]) == []


def test_the_table_draws_image_truth_and_both_arms(clinic, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "table")
    assert run_table(out, clinic, report_only=True, frame="test7") == 0
    picture = cv2.imread(str(out / "clinic.half.png"))
    assert picture.shape == (HEADING + HEIGHT + 2 * MARGIN, 4 * COLUMN, 3)
    truth = picture[HEADING + MARGIN : -MARGIN, COLUMN + MARGIN : 2 * COLUMN - MARGIN, 0] > 127
    expected = cv2.resize(read_mask(clinic / "masks" / "test7.png").astype(np.uint8), (PANEL, HEIGHT)) > 0
    assert np.mean(truth == expected) > 0.99
    # the third and fourth columns are the cells' own masks: as much overlap as their CSVs say
    for column, net in enumerate(("fcn", "fcn-if"), start=2):
        left = column * COLUMN + MARGIN
        found = picture[HEADING + MARGIN : -MARGIN, left : left + PANEL, 0] > 127
        figures = read_rows(out / f"clinic.half/{net}.tiny.random/seed0/clinic.half.csv")
        dice = figures.values["dice"][figures.names.index("test7")]
        assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) == pytest.approx(dice, abs=0.03)


def test_a_table_without_weights_has_no_picture(clinic, finished, tmp_path):
    out = shutil.copytree(finished, tmp_path / "table", ignore=shutil.ignore_patterns("*.pt", "*.png"))
    assert run_table(out, clinic, report_only=True) == 0
    assert not list(out.glob("*.png"))
