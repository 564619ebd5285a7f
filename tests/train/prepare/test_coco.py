"""COCO polygons as masks."""

import json

import numpy as np
import pytest

from rtpolyp.errors import InputError
from train.prepare.coco import Drawing, draw, read_coco

SQUARE = [10, 20, 40, 20, 40, 50, 10, 50]  # x and y of its corners


def write_coco(path, *annotations, size=(120, 96)):
    images = [{"id": 7, "file_name": "frames/a.png", "width": size[0], "height": size[1]}]
    images.append({"id": 8, "file_name": "b.png", "width": 9, "height": 9})
    categories = [{"id": 1, "name": "polyp"}, {"id": 2, "name": "instrument"}]
    content = {"images": images, "categories": categories, "annotations": list(annotations)}
    path.write_text(json.dumps(content))
    return path


def annotation(*rings, category=1, image=7):
    return {"id": 3, "image_id": image, "category_id": category, "segmentation": list(rings)}


def test_a_polygon_covers_its_pixels_and_no_more(tmp_path):
    drawings = read_coco(write_coco(tmp_path / "annotations.json", annotation(SQUARE)))
    reading = draw(drawings["a"])
    expected = np.zeros((96, 120), bool)
    expected[20:50, 10:40] = True
    np.testing.assert_array_equal(reading.polyp, expected)
    assert reading.classes == {"polyp": 900}
    assert set(drawings) == {"a"}  # b has no annotation


@pytest.mark.parametrize("radius", [6, 15, 40])
def test_a_disc_has_its_area(radius):
    angle = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    ring = np.stack([60.3 + radius * np.cos(angle), 47.7 + radius * np.sin(angle)], axis=1)
    reading = draw(Drawing(120, 96, (("polyp", ring),)))
    assert reading.polyp.sum() == pytest.approx(np.pi * radius**2, rel=0.06)
    assert reading.polyp[47, 60]


def test_polygons_of_an_image_are_joined_and_cut_at_its_border(tmp_path):
    outside = [200, 200, 210, 200, 210, 210]
    over = [100, 80, 140, 80, 140, 120, 100, 120]
    path = write_coco(tmp_path / "annotations.json", annotation(SQUARE, over), annotation(outside))
    assert draw(read_coco(path)["a"]).polyp.sum() == 900 + 20 * 16


def test_categories_can_be_chosen(tmp_path):
    other = annotation([50, 20, 60, 20, 60, 30, 50, 30], category=2)
    drawing = read_coco(write_coco(tmp_path / "annotations.json", annotation(SQUARE), other))["a"]
    assert draw(drawing).polyp.sum() == 1000
    reading = draw(drawing, {"polyp"})
    assert reading.polyp.sum() == 900
    assert reading.classes == {"polyp": 900, "instrument": 100}


def test_run_lengths_and_polygons_of_two_points_are_problems_of_their_image(tmp_path):
    rle = {**annotation(), "segmentation": {"counts": [4, 2], "size": [96, 120]}}
    path = write_coco(
        tmp_path / "annotations.json", rle, annotation(SQUARE), annotation([1, 2, 3, 4], image=8)
    )
    problems = read_coco(path)
    assert "annotation 3: a run-length encoded mask (RLE), only polygons are read" in problems["a"]
    assert "annotation 3: no polygon of at least three points" in problems["b"]


@pytest.mark.parametrize("content", ["", "[]", '{"images": []}', '{"images": [3], "annotations": []}'])
def test_another_json_fails(content, tmp_path):
    (tmp_path / "annotations.json").write_text(content)
    with pytest.raises(InputError, match=r"annotations\.json: not a COCO file with images, annotations"):
        read_coco(tmp_path / "annotations.json")


@pytest.mark.parametrize("change", [{"image_id": 99}, {"category_id": 99}, {"segmentation": [["x"] * 6]}])
def test_a_broken_annotation_fails_naming_it(change, tmp_path):
    path = write_coco(tmp_path / "annotations.json", {**annotation(SQUARE), **change})
    with pytest.raises(InputError, match=r"annotations\.json: annotation 3: .*Export it as COCO again"):
        read_coco(path)
