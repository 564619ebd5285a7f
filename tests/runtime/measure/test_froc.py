"""FROC by hand-made cases."""

import csv
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest

from rtpolyp.errors import OutputError
from rtpolyp.measure.froc import Candidate, froc, sensitivity_at, write_froc


def found(confidence: float, *polyps: int) -> Candidate:
    return Candidate(confidence, frozenset(polyps))


FRAMES = [
    (2, [found(0.9, 0), found(0.8), found(0.5, 1)]),
    (1, [found(0.8, 0), found(0.7, 0)]),  # two outlines meet one polyp: it is found once
    (0, [found(0.6), found(0.3)]),
    (1, []),  # missed for good
]


def test_points_by_hand() -> None:
    points = [(p.confidence, p.found, p.false_outlines) for p in froc(FRAMES)]
    assert points == [(0.9, 1, 0), (0.8, 2, 1), (0.7, 2, 1), (0.6, 2, 2), (0.5, 3, 2), (0.3, 3, 3)]
    last = froc(FRAMES)[-1]
    assert (last.sensitivity, last.false_per_frame, last.polyps, last.frames) == (3 / 4, 3 / 4, 4, 4)


def test_the_best_sensitivity_at_a_rate() -> None:
    points = froc(FRAMES)
    assert sensitivity_at(points, 0.1).found == 1
    assert sensitivity_at(points, 0.25).found == 2
    assert sensitivity_at(points, 0.5).found == 3
    assert sensitivity_at(points, 9).confidence == 0.3


def test_a_first_outline_that_is_false_has_no_rate_of_zero() -> None:
    assert sensitivity_at(froc([(1, [found(0.9), found(0.5, 0)])]), 0.5) is None


def test_one_outline_may_find_two_polyps() -> None:
    assert froc([(2, [found(0.9, 0, 1)])])[0].sensitivity == 1


def test_without_polyps_or_outlines_there_is_no_curve() -> None:
    assert froc([(0, [found(0.9)])]) == []
    assert froc([(1, [])]) == []


def test_table_and_picture(tmp_path: Path) -> None:
    table, picture = write_froc(froc(FRAMES), tmp_path / "curve.svg")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["found"], row["false_outlines"]) for row in rows][:2] == [("1", "0"), ("2", "1")]
    assert float(rows[-1]["sensitivity"]) == 0.75
    curve = Xml.parse(picture).getroot().findall("{http://www.w3.org/2000/svg}path")[-1].get("d")
    # the axis ends where the last polyp is found, at 0.5 false outlines a frame; the top is 1
    assert curve.startswith("M 60.0 320.0 L 60.0 320.0 L 60.0 245.0 L 270.0 245.0 L 270.0 170.0")
    assert curve.endswith("L 480.0 95.0")


def test_a_curve_without_a_point_is_written(tmp_path: Path) -> None:
    table, picture = write_froc([], tmp_path / "curve")
    assert len(table.read_text().splitlines()) == 1
    Xml.parse(picture)


def test_no_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"none/curve\.csv: cannot be written .*choose another place"):
        write_froc(froc(FRAMES), tmp_path / "none/curve")
