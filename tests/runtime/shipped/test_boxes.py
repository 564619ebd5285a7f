"""The position box on test frames: painted where it hides no polyp, and what lies beside a real one."""

from pathlib import Path

import cv2

from rtpolyp.imaging.geometry import Rect
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.evaluation import read_pair
from scripts.shipped.boxes import beside_box, paint_box
from tests.runtime.discs import write_frame


def test_a_box_is_painted_in_the_corner_without_a_polyp(tmp_path: Path) -> None:
    write_frame(tmp_path, "centre", [(128, 96, 20)], [(128, 96, 20)])
    write_frame(tmp_path, "corner", [(30, 170, 20)], [(30, 170, 20)])
    centre, corner = load_pairs(tmp_path)
    image, _ = read_pair(centre)
    black = (paint_box(centre, image) == 0).all(axis=2)
    assert black[140:, :80].all()
    assert not black[:120].any()
    image, truth = read_pair(corner)
    black = (paint_box(corner, image) == 0).all(axis=2)
    assert not (black & truth).any()
    assert black[140:, -80:].all()


def test_what_lies_beside_the_box_is_taken_of_frames_that_have_one(tmp_path: Path) -> None:
    write_frame(tmp_path, "boxed", [], [])
    write_frame(tmp_path, "plain", [], [])
    boxed = load_pairs(tmp_path)[0]
    image, _ = read_pair(boxed)
    height, width = image.shape[:2]
    image[round(0.66 * height) :, : round(0.35 * width)] = 0
    assert cv2.imwrite(str(boxed.image), image)
    (right,), (above,) = (beside_box(load_pairs(tmp_path), side) for side in ("right", "above"))
    x, y = round(0.35 * width), round(0.66 * height)
    assert right.rect == Rect(x, 0, width - x, height)
    assert above.rect == Rect(0, 0, width, y)
    assert right.pair.name == "boxed"
