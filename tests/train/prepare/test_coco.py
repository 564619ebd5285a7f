"""COCO polygons and run lengths as masks."""

import json
import re

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from rtpolyp.errors import InputError
from train.prepare.coco import read_coco
from train.prepare.drawing import Drawing, Shape, draw

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
    reading = draw(Drawing(120, 96, (Shape("polyp", ring),)))
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


def test_polygons_of_two_points_are_problems_of_their_image(tmp_path):
    problems = read_coco(write_coco(tmp_path / "annotations.json", annotation([1, 2, 3, 4], image=8)))
    assert "annotation 3: no polygon of at least three points" in problems["b"]


def test_run_lengths_are_read_compressed_and_plain(tmp_path):
    mask = np.zeros((96, 120), np.uint8, order="F")
    mask[10:40, 20:70], mask[20:30, 30:50], mask[60:70, 5:9] = 1, 0, 1  # a hole, and another component
    coded = coco_mask.encode(mask)
    compressed = {"size": coded["size"], "counts": coded["counts"].decode()}
    changes = np.flatnonzero(np.diff(mask.ravel(order="F").astype(int), prepend=0))
    plain = {"size": [96, 120], "counts": np.diff([0, *changes, mask.size]).tolist()}
    for rle in (compressed, plain):
        path = write_coco(tmp_path / "annotations.json", {**annotation(), "segmentation": rle})
        np.testing.assert_array_equal(draw(read_coco(path)["a"]).polyp, mask > 0)


@pytest.mark.parametrize(
    ("rle", "problem"),
    [
        ({"size": [96, 120], "counts": [4, 2]}, "the runs do not add up to the image"),
        ({"size": [96, 120], "counts": [-1, 11521]}, "the runs do not add up to the image"),
        ({"size": [96, 120], "counts": "PP3"}, "the runs do not add up"),
        ({"size": [96, 120], "counts": "é"}, "cannot be read"),
        ({"size": [96, 120]}, "cannot be read"),
        (
            {"size": [120, 96], "counts": [11520]},
            "a run-length encoded mask of .96, 120. pixels in an image of 120x96",
        ),
    ],
)
def test_broken_run_lengths_are_problems_of_their_image(rle, problem, tmp_path):
    path = write_coco(tmp_path / "annotations.json", {**annotation(), "segmentation": rle})
    assert re.search(f"annotations.json: annotation 3: .*{problem}.*Export it again", read_coco(path)["a"])


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
