"""A folder as a hospital has it, to a data set that evaluation and training read; and what is refused."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.groups import read_groups
from rtpolyp.spec import sha256_of
from tests.train.prepare.clinic import SIZE, disc, view, write, write_clinic
from tests.train.prepare.test_coco import SQUARE
from train.command_line import run_command_line
from train.data import load_frames, parse_source
from train.prepare import Options, prepare
from train.prepare.__main__ import app

THIRDS = Options(val=0.3, test=0.3)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    return write_clinic(tmp_path / "clinic", polyp_free=3)


def write_patients(folder: Path, of: dict[str, str], header: str = "file,patient") -> None:
    (folder / "groups.csv").write_text("\n".join([header, *(f"{file},{who}" for file, who in of.items())]))


def snapshot(folder: Path) -> dict[str, str]:
    return {str(file.relative_to(folder)): sha256_of(file) for file in folder.rglob("*") if file.is_file()}


def split_of(out: Path) -> dict[str, str]:
    parts = {file.stem.removeprefix("own_"): file for file in (out / "splits").iterdir()}
    return {name: part for part, file in parts.items() for name in file.read_text().splitlines()}


def test_training_and_evaluation_read_what_is_written(clinic, tmp_path):
    before = snapshot(clinic)
    out = tmp_path / "own-data"
    report = prepare(clinic, out, THIRDS)
    assert snapshot(clinic) == before
    assert (report.images, report.polyp) == (12, 9)
    counts = {name: part.images for name, part in report.parts.items()}
    assert counts == {"own_train": 4, "own_val": 4, "own_test": 4}
    assert all(part.polyp == 3 for part in report.parts.values())
    frames = load_frames([parse_source(f"{out}:own")], "train", 64)
    assert len(frames) == 4
    pairs = load_pairs(out, "own_test")
    assert len(pairs) == 4
    for pair in pairs:
        assert pair.group == f"near-duplicates of {pair.name}"
        assert sha256_of(pair.image) == before[f"images/{pair.name}.png"]
        expected = cv2.imread(str(clinic / "masks" / f"{pair.name}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(cv2.imread(str(pair.mask), cv2.IMREAD_UNCHANGED), expected)


def test_the_report_is_stored_and_the_same_every_time(clinic, tmp_path):
    report = prepare(clinic, tmp_path / "a")
    prepare(clinic, tmp_path / "b" / "a")
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b" / "a")
    stored = json.loads((tmp_path / "a" / "prepare.json").read_text())
    assert stored == json.loads(json.dumps(report.to_dict()))
    assert stored["sizes"] == {"120x96": 12}
    assert stored["masks"] == {"0 and 255": 9, "empty": 3}
    assert any("without groups.csv" in warning for warning in stored["warnings"])
    areas = [disc(8 + index).mean() for index in range(9)]
    assert stored["polyp_share"] == pytest.approx(np.percentile(areas, [5, 50, 95]).tolist())


def test_an_earlier_result_is_replaced(clinic, tmp_path):
    out = tmp_path / "out"
    prepare(clinic, out, THIRDS)
    (clinic / "images" / "p11.png").unlink()
    (clinic / "masks" / "p11.png").unlink()
    prepare(clinic, out, THIRDS)
    assert len(list((out / "images").iterdir())) == 11
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clinic", "out"]


def test_patients_stay_together(clinic, tmp_path):
    patients = {f"p{index:02}.png": f"patient {index // 2}" for index in range(12)}
    write_patients(clinic, patients)
    report = prepare(clinic, tmp_path / "out", THIRDS)
    parts = split_of(tmp_path / "out")
    assert report.grouped_by == "patient"
    assert not any("groups.csv" in line for line in report.warnings)
    assert all(parts[f"p{index:02}"] == parts[f"p{index + 1:02}"] for index in range(0, 12, 2))
    with (tmp_path / "out" / "groups.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[3] == {"stem": "p03", "family": "", "group": "patient 1"}


def test_patients_are_no_formulas(clinic, tmp_path):
    write_patients(clinic, {f"p{index:02}.png": f"=P{index // 2}" for index in range(12)})
    prepare(clinic, tmp_path / "out", THIRDS)
    assert "'=P1" in (tmp_path / "out" / "groups.csv").read_text()
    assert read_groups(tmp_path / "out" / "groups.csv")["p03"].name == "=P1"


def test_near_duplicates_stay_together_across_patients(clinic, tmp_path):
    write(clinic / "images" / "p01.png", np.roll(view(0), 2, axis=1))
    write_patients(clinic, {f"p{index:02}": f"P{index:02}" for index in range(12)})
    report = prepare(clinic, tmp_path / "out", THIRDS)
    assert report.near_duplicates == (("p00", "p01"),)
    assert report.warnings[0] == "groups.csv: near-duplicate clusters of several patients, kept together: 1"
    assert "  p00, p01" in report.lines()
    parts = split_of(tmp_path / "out")
    assert parts["p00"] == parts["p01"]


@pytest.mark.parametrize("name", ["{}_mask.png", "mask_{}.tif", "{}-seg.jpg", "{} GT.bmp", "{}_Labels.png"])
def test_names_of_masks_may_carry_a_word(name, clinic, tmp_path):
    for file in sorted((clinic / "masks").iterdir()):
        mask = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
        write(clinic / "masks" / name.format(file.stem), mask)
        file.unlink()
    assert prepare(clinic, tmp_path / "out").polyp == 9
    assert sorted(path.name for path in (tmp_path / "out" / "masks").iterdir())[0] == "p00.png"


def test_classes_are_said_and_can_be_chosen(clinic, tmp_path, capsys):
    for index in range(6):
        colour = (0, 0, 255) if index % 2 else (0, 255, 0)
        write(clinic / "masks" / f"p{index:02}.png", disc()[:, :, None] * np.array(colour, np.uint8))
    out = str(tmp_path / "out")
    assert run_command_line(app, [str(clinic), "-o", out]) == 0
    assert "classes, by pixels: white" in capsys.readouterr().out
    assert run_command_line(app, [str(clinic), "-o", out, "--polyp-classes", "red", "white"]) == 0
    assert "12 images: 6 with a polyp, 6 without" in capsys.readouterr().out
    assert run_command_line(app, [str(clinic), "-o", out, "--polyp-classes", "pink"]) == 2
    assert "pink: not in these masks, which show green, red, white" in capsys.readouterr().err


def test_masks_as_arrays_or_tables_are_refused_and_never_taken_as_polyp_free(clinic, tmp_path):
    for name in ("p02.png", "p03.png"):
        (clinic / "masks" / name).unlink()
    (clinic / "masks" / "p02.npz").write_bytes(b"")
    (clinic / "masks" / "p03.csv").write_text("1 5 40 5")
    expected = (
        r"corrected \(2\):\n  masks/p02\.npz: a mask of the kind \.npz .*\n  masks/p03\.csv: a mask of the"
    )
    with pytest.raises(InputError, match=expected):
        prepare(clinic, tmp_path / "out", Options(unannotated_are_empty=True))


def test_coco_polygons_take_the_place_of_masks(clinic, tmp_path):
    shutil.rmtree(clinic / "masks")
    images = [{"id": i, "file_name": f"p{i:02}.png", "width": SIZE[0], "height": SIZE[1]} for i in range(12)]
    shapes = [{"id": i, "image_id": i, "category_id": 1, "segmentation": [SQUARE]} for i in range(9)]
    content = {"images": images, "annotations": shapes, "categories": [{"id": 1, "name": "polyp"}]}
    (clinic / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"corrected \(3\):\n  images/p09\.png: no annotation\n  images/p10"):
        prepare(clinic, tmp_path / "out")
    report = prepare(clinic, tmp_path / "out", Options(unannotated_are_empty=True))
    assert (report.images, report.polyp) == (12, 9)
    assert report.masks == {"polygons": 9, "none": 3}
    assert "images without an annotation, taken as polyp-free (3): p09, p10, p11" in report.warnings
    assert cv2.imread(str(tmp_path / "out" / "masks" / "p00.png"), 0).sum() == 255 * 900


def test_doubtful_masks_are_named(clinic, tmp_path):
    for name, mask in (("p00", ~disc()), ("p01", disc() | True), ("p02", disc(0))):
        write(clinic / "masks" / f"{name}.png", mask.astype(np.uint8) * 255)
    write(clinic / "masks" / "p03.png", cv2.GaussianBlur(disc(30).astype(np.uint8) * 255, (13, 13), 3))
    (clinic / "masks" / "notes.txt").write_text("by hand")
    write(clinic / "masks" / "p99.png", disc().astype(np.uint8) * 255)
    warnings = "\n".join(prepare(clinic, tmp_path / "out").warnings)
    assert "masks that cover nearly all of the picture or of its rim, inverted? (2): p00, p01" in warnings
    assert "masks that show less than 0.01 % polyp, slips of the brush? (1): p02" in warnings
    assert "masks that hold much grey, blurred? (1): p03" in warnings
    assert "masks/: left out, of no kind that is read (1): notes.txt" in warnings
    assert "annotations without an image (1): p99" in warnings


def test_everything_wrong_is_listed_at_once_and_nothing_is_written(clinic, tmp_path, capsys):
    write(clinic / "masks" / "p00.png", np.zeros((50, 40), np.uint8))
    (clinic / "images" / "p01.png").write_bytes(b"broken")
    (clinic / "masks" / "p02.png").unlink()
    write(clinic / "images" / "p03.png", view(3)[:, :, 0])
    write(clinic / "images" / "p04.png", view(4).astype(np.uint16))
    write(clinic / "images" / "p05.jpg", view(5))
    write(clinic / "masks" / "p06_mask.png", disc().astype(np.uint8))
    write(clinic / "masks" / "p07.png", disc().astype(np.uint8) * 2)
    write_patients(clinic, {f"p{index:02}.png": "P" for index in range(11)})
    assert run_command_line(app, [str(clinic), "-o", str(tmp_path / "out")]) == 2
    first, *lines = capsys.readouterr().err.splitlines()
    assert first == f"rtpolyp: {clinic}: nothing is written until this is corrected (9):"
    assert lines == [
        "  images/p05.png: p05.jpg has the same name",
        "  masks/p06_mask.png: p06 has two masks",
        "  images/p02.png: no annotation",
        "  groups.csv: no patient of images/p11.png",
        "  masks/p00.png: 40x50, but the image has 120x96; export it at that size",
        "  images/p01.png: not a readable image (6 bytes); copy or export it again",
        "  images/p03.png: a grey image, but the network needs colour; give the colour original",
        "  images/p04.png: 16 bits a channel, but no value above "
        f"{int(view(4).max())} of 65535, which is black; scale it to 8 bits",
        "  masks/p07.png: values 0, 2, none above 127; write 255 where a polyp is, else 0",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["clinic"]


def test_of_many_problems_twenty_are_listed(tmp_path):
    clinic = write_clinic(tmp_path / "clinic", images=25)
    for file in (clinic / "masks").iterdir():
        file.write_bytes(b"")
    with pytest.raises(InputError, match=r"corrected \(25\):") as error:
        prepare(clinic, tmp_path / "out")
    assert str(error.value).count("not a readable image") == 20
    assert str(error.value).endswith("\n  … and 5 more")


def test_folders_without_images_or_masks_fail(tmp_path):
    with pytest.raises(InputError, match="clinic: no such folder"):
        prepare(tmp_path / "clinic", tmp_path / "out")
    (tmp_path / "clinic" / "images").mkdir(parents=True)
    with pytest.raises(
        InputError, match=r"clinic: no masks/, annotations\.json, .* or images/\*\.json in it"
    ):
        prepare(tmp_path / "clinic", tmp_path / "out")
    (tmp_path / "clinic" / "masks").mkdir()
    with pytest.raises(InputError, match=r"images: no images in it"):
        prepare(tmp_path / "clinic", tmp_path / "out")
    (tmp_path / "clinic" / "annotations.json").touch()
    with pytest.raises(InputError, match=r"clinic: both masks/ and annotations\.json in it"):
        prepare(tmp_path / "clinic", tmp_path / "out")


@pytest.mark.parametrize("header", ["name,id", "file;patient;ward", ""])
def test_another_table_fails_saying_what_it_needs(header, clinic, tmp_path):
    write_patients(clinic, {"p00.png": "P"}, header)
    with pytest.raises(
        InputError, match=r"groups\.csv: (columns .*; write file,patient|row 2 has 1 of 3 columns)"
    ):
        prepare(clinic, tmp_path / "out")


def test_parts_that_are_too_small_or_without_a_polyp_free_image_are_warned_of(tmp_path):
    few = prepare(write_clinic(tmp_path / "few", 12, polyp_free=2), tmp_path / "a", THIRDS).warnings
    assert any(line.startswith("fewer than 20 images with a polyp in own_val (") for line in few)
    none = prepare(write_clinic(tmp_path / "none", 12), tmp_path / "b", THIRDS).warnings
    assert any(line.startswith("no polyp-free image at all: false outlines are neither") for line in none)


def test_one_patient_cannot_be_divided(clinic, tmp_path):
    write_patients(clinic, {f"p{index:02}": "P" for index in range(12)})
    with pytest.raises(InputError, match="the val part would be without a polyp: 1 groups show one"):
        prepare(clinic, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["clinic"]


@pytest.mark.parametrize(("val", "test"), [(0, 0.1), (0.5, 0.5), (0.1, -0.1), (1, 0), (float("nan"), 0.1)])
def test_shares_that_leave_nothing_fail(val, test):
    with pytest.raises(InputError, match=r"val .* and test .*: give shares like 0\.1"):
        Options(val=val, test=test)


@pytest.mark.parametrize("place", ["clinic", "clinic/out"])
def test_the_source_is_not_written_into(place, clinic, tmp_path):
    with pytest.raises(OutputError, match="lies in the folder that is read; choose another -o"):
        prepare(clinic, tmp_path / place)


def test_something_else_is_not_replaced(clinic, tmp_path):
    write(tmp_path / "out" / "picture.png", view(0))
    with pytest.raises(OutputError, match=r"out: holds something that has no prepare\.json"):
        prepare(clinic, tmp_path / "out")


def test_a_place_that_cannot_be_written_fails(clinic, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file/out: cannot be written"):
        prepare(clinic, tmp_path / "file" / "out")


def test_the_default_place_is_beside_the_folder(clinic, tmp_path, capsys):
    assert run_command_line(app, [str(clinic)]) == 0
    assert f"train on it with --data {tmp_path / 'clinic-prepared'}:own" in capsys.readouterr().out
    assert len(load_pairs(tmp_path / "clinic-prepared", "own_train")) == 10
