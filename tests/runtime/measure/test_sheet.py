from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.evaluation import Evaluation, evaluate_engine
from rtpolyp.measure.sheet import PREDICTION, TRUTH, contact_sheet, worst_frames, write_sheet
from rtpolyp.settings import Settings


@pytest.fixture
def result(discs: Path, red_engine: Callable) -> Evaluation:
    with red_engine() as engine:
        return evaluate_engine(engine, load_pairs(discs), Settings(0.5, 0.0, 0.0))


def pixels_of(sheet: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(sheet.astype(int) - colour) <= 8).all(axis=2)


def test_worst_frames(result: Evaluation) -> None:
    # both have Dice 0; more area is outlined in vain on the frame without a polyp. The clean one is no case.
    assert [frame.pair.name for frame in worst_frames(result, 9)] == ["outlined", "missed", "found"]
    assert [frame.pair.name for frame in worst_frames(result, 1)] == ["outlined"]


def test_contact_sheet_outlines_truth_and_prediction_where_they_are(result: Evaluation) -> None:
    missed = [frame for frame in result.frames if frame.pair.name == "missed"]
    sheet = contact_sheet(missed)
    scale, left, top = 300 / 256, 12 + 300, 30  # the right panel of the first case
    for colour, (x, y, radius) in ((TRUTH, (60, 60, 25)), (PREDICTION, (190, 130, 20))):
        rows, columns = np.nonzero(pixels_of(sheet[30:], colour))
        box = (columns.min() - left, rows.min() + 30 - top, columns.max() - left, rows.max() + 30 - top)
        expected = [scale * v for v in (x - radius, y - radius, x + radius, y + radius)]
        assert box == pytest.approx(expected, abs=4)


def test_contact_sheet_keeps_the_plain_picture(result: Evaluation) -> None:
    sheet = contact_sheet(worst_frames(result, 3))
    for case in range(3):
        plain = sheet[30:255, 12 + case * 612 : 12 + case * 612 + 300]
        assert not pixels_of(plain, TRUTH).any()
        assert not pixels_of(plain, PREDICTION).any()


def test_contact_sheet_grows_with_the_cases(result: Evaluation) -> None:
    one, many = (contact_sheet((result.frames * 3)[:count]) for count in (1, 7))
    assert (many.shape[0] - 30, many.shape[1] - 12) == (3 * (one.shape[0] - 30), 3 * (one.shape[1] - 12))


def test_write_sheet(result: Evaluation, tmp_path: Path) -> None:
    write_sheet(result, 2, tmp_path / "worst.png")
    assert np.array_equal(cv2.imread(str(tmp_path / "worst.png")), contact_sheet(worst_frames(result, 2)))


def test_write_sheet_fails(result: Evaluation, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"absent/worst\.png: cannot be written"):
        write_sheet(result, 2, tmp_path / "absent" / "worst.png")
    clean = Evaluation("", result.settings, result.frames[:1], 0, False)
    with pytest.raises(InputError, match="no case for a contact sheet"):
        write_sheet(clean, 2, tmp_path / "worst.png")
