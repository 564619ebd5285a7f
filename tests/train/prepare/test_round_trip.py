"""What `rtpolyp export` writes is read by `python -m train.prepare`, and masks stay what they were."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.imaging.mask_file import read_mask_file
from rtpolyp.labels import FORMATS, export_labels
from tests.runtime.labels.shapes import SIZE, iou, labels_of, masks, write_pictures
from train.command_line import run_command_line
from train.prepare import Options, prepare
from train.prepare.__main__ import app
from train.prepare.drawing import draw
from train.prepare.folder import read_folder

SAME = 0.99  # IoU of each polyp


def read_back(folder: Path) -> dict[str, np.ndarray]:
    found = read_folder(folder, unannotated_are_empty=True)
    assert not found.problems
    back = {}
    for pair in found.pairs:
        if pair.annotation is None:
            back[pair.name] = np.zeros(SIZE[::-1], bool)
        elif isinstance(pair.annotation, Path):
            back[pair.name] = read_mask_file(pair.annotation).polyp
        else:
            back[pair.name] = draw(pair.annotation).polyp
    return back


@pytest.mark.parametrize("form", FORMATS)
def test_masks_with_holes_and_several_components_come_back(form: str, tmp_path: Path) -> None:
    labels = labels_of(masks())
    export_labels(labels, form, write_pictures(tmp_path, list(masks())))
    back = read_back(tmp_path)
    assert back.keys() == masks().keys()
    for frame in labels.frames:
        for region in frame.regions:
            polyp = region.mask(SIZE)
            assert iou(back[frame.stem] & polyp, polyp) >= SAME, frame.stem
        assert iou(back[frame.stem], masks()[frame.stem]) >= SAME


def test_tracks_of_a_video_come_back_from_cvat(tmp_path: Path) -> None:
    names = [f"{index:06d}" for index in range(5)]
    found = dict(
        zip(names, (masks()[name] for name in ("disc", "three", "empty", "edge", "disc")), strict=True)
    )
    labels = labels_of(found, is_sequence=True)
    export_labels(labels, "cvat", write_pictures(tmp_path, names), every=3)
    for name, mask in read_back(tmp_path).items():
        np.testing.assert_array_equal(mask, found[name])


def test_a_clinic_is_prepared_from_an_export(tmp_path: Path) -> None:
    masks_of = {f"p{number}-{name}": mask for number in range(4) for name, mask in masks().items()}
    folder = write_pictures(tmp_path / "exported", list(masks_of))
    export_labels(labels_of(masks_of), "coco", folder)
    report = prepare(folder, tmp_path / "out", Options(0.2, 0.2, unannotated_are_empty=True))
    assert (report.images, report.polyp) == (20, 16)
    for name, mask in masks_of.items():
        np.testing.assert_array_equal(read_mask_file(tmp_path / "out/masks" / f"{name}.png").polyp, mask)


def test_tools_may_nest_their_images(tmp_path: Path) -> None:
    """As Ultralytics and Datumaro do, by part."""
    folder = write_pictures(tmp_path, ["disc", "three"])
    some = {name: masks()[name] for name in ("disc", "three")}
    labels = labels_of(some)
    nested = replace(
        labels, frames=tuple(replace(frame, file=f"train/{frame.file}") for frame in labels.frames)
    )
    (folder / "images/train").mkdir()
    for name in some:
        (folder / "images" / f"{name}.png").rename(folder / "images/train" / f"{name}.png")
    export_labels(nested, "yolo-seg", folder)
    back = read_back(folder)
    assert all(iou(back[name], some[name]) >= SAME for name in some)


def change(folder: Path, name: str, edit: Callable[[str], str]) -> None:
    path = folder / name
    path.write_text(edit(path.read_text()))


def problem(folder: Path) -> str:
    (line,) = read_folder(folder, unannotated_are_empty=True).problems
    return line


@pytest.fixture
def exported(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    folder = write_pictures(tmp_path, ["ring"])
    export_labels(labels_of({"ring": masks()["ring"]}), request.param, folder)
    return folder


@pytest.mark.parametrize(
    ("exported", "name", "old", "new", "said"),
    [
        ("cvat", "annotations.xml", "polygon", "box", "a box is no outline. Draw a polygon or a mask"),
        ("cvat", "annotations.xml", 'points="', 'points="x,', "Draw it again, or delete it"),
        ("cvat", "annotations.xml", 'rle="', 'rle="7, ', "runs that do not add up to"),
        ("labelme", "images/ring.json", '"polygon"', '"rectangle"', "a rectangle is no outline"),
        ("labelme", "images/ring.json", '"imageWidth"', '"width"', "not a file of LabelMe"),
        ("labelme", "images/ring.json", '"mask": "', '"mask": "aaaa', "Draw it again"),
        ("yolo-seg", "labels/ring.txt", "0 ", "3 ", "class 3 is not in data.yaml"),
        ("yolo-seg", "labels/ring.txt", "0 0.", "0 7.", "no polygon of three points or more in parts"),
        ("yolo-seg", "labels/ring.txt", "0 0.", "0 x0.", "no lines of YOLO-seg"),
    ],
    indirect=["exported"],
)
def test_a_broken_label_is_a_problem_of_its_image(
    exported: Path, name: str, old: str, new: str, said: str
) -> None:
    change(exported, name, lambda text: text.replace(old, new))
    assert said in problem(exported)
    assert "ring" in problem(exported)


@pytest.mark.parametrize(
    ("exported", "name", "said"),
    [
        ("coco", "annotations/instances_default.json", "not a COCO file with images, annotations and"),
        ("cvat", "annotations.xml", "not an XML file of CVAT"),
        ("labelme", "images/ring.json", "ring.json: not a file of LabelMe"),
        ("yolo-seg", "labels/ring.txt", "ring.txt: class {broken is not in data.yaml"),
        ("yolo-seg", "data.yaml", "no names of classes in it"),
    ],
    indirect=["exported"],
)
def test_a_broken_file_ends_in_exit_code_2(
    exported: Path, name: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (exported / name).write_text("{broken")
    assert run_command_line(app, [str(exported), "-o", str(exported.parent / "never")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (exported.parent / "never").exists()


def test_boxes_of_yolo_are_refused(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path, ["a"])
    (folder / "labels").mkdir()
    (folder / "labels/a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    assert problem(folder) == "a.txt: a box is no outline. Export YOLO segmentation, not detection"
