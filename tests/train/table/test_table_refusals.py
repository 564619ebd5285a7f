"""What `python -m train.table` refuses, each in one line, and weights of other data."""

import shutil
from pathlib import Path

import cv2
import pytest

from tests.train.table.tables import CELLS, run_table


def fails(capsys: pytest.CaptureFixture[str], out: Path, *folders: Path, **options: object) -> str:
    """The one line of a command that must end with exit code 2."""
    assert run_table(out, *folders, **options) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"net": "fcn-if"}, "network 'fcn-if' is no row; did you mean fcn? there are: fcn, unet, unetpp"),
        ({"protocol": "coco"}, "protocol 'coco' is unknown; there are: paper, pranet"),
        ({"recipe": "hers"}, "--recipe 'hers' is unknown; there are: ours, author"),
        ({"seeds": 0}, "seeds: 0 cannot work. Give 1 or more"),
        ({"precision": "bfloat16"}, "{out}/numerics.json: its cells are in float32, not bfloat16."),
        ({"steps": -1}, "--steps: -1 cannot work. Give 0 or more"),
        ({"encoder": "resnet9000"}, "--encoder 'resnet9000' is unknown"),
        ({"protocol": "pranet"}, "clinic:half: has a val list, so this is no split of PraNet's protocol."),
        ({"init": "/nowhere"}, "/nowhere/fcn/best.pt: no such checkpoint"),
    ],
)  # fmt: skip
def test_a_users_error_is_one_line(options, line, clinic, tmp_path, capsys):
    expected = f"rtpolyp: {line.replace('{out}', str(tmp_path / 'table'))}"
    assert fails(capsys, tmp_path / "table", clinic, **options).startswith(expected)
    assert not list((tmp_path / "table").glob("*/*/*/last.pt"))


def test_a_table_needs_data(tmp_path, capsys):
    assert "--data: none given." in fails(capsys, tmp_path / "table")


def test_a_data_set_needs_a_test_part(clinic, tmp_path, capsys):
    folder = shutil.copytree(clinic, tmp_path / "clinic")
    (folder / "splits" / "half_test.txt").unlink()
    error = fails(capsys, tmp_path / "table", folder)
    assert "half_test: no such split of " in error


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_test_image_of_another_part_is_refused_before_any_training(part, clinic, tmp_path, capsys):
    folder = shutil.copytree(clinic, tmp_path / "clinic")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        shutil.copy(folder / kind / f"{part}1.{suffix}", folder / kind / f"renamed.{suffix}")
    with (folder / "splits" / "half_test.txt").open("a") as file:
        file.write("renamed\n")
    error = fails(capsys, tmp_path / "table", folder)
    assert f"renamed.jpg: 1 test images of clinic:half are also in clinic:half_{part}. Choose splits" in error
    assert not list((tmp_path / "table").glob("*/*/*"))


def test_weights_of_another_protocol_are_refused(clinic, finished, tmp_path, capsys):
    """What was trained on other lists of the same images is not scored on this one's."""
    folder = shutil.copytree(clinic, tmp_path / "clinic")
    for part, stems in (("train", "val"), ("val", "test"), ("test", "train")):
        names = [f"{stems}{index}\n" for index in range(3)]
        (folder / "splits" / f"other_{part}.txt").write_text("".join(names))
    for net in ("fcn", "fcn-if"):
        (tmp_path / "runs" / net).mkdir(parents=True)
        weights = finished / f"clinic.half/{net}.tiny.random/seed0/weights.pt"
        shutil.copy(weights, tmp_path / "runs" / net / "best.pt")
    error = fails(capsys, tmp_path / "table", folder, split="other", init=tmp_path / "runs")
    assert "3 of the test images of clinic:other are training images of what --init" in error


def test_weights_of_other_data_stand_in_a_section_of_their_own(clinic, finished, tmp_path):
    folder = shutil.copytree(clinic, tmp_path / "second")
    for image in (
        folder / "images"
    ).iterdir():  # the same pictures, mirrored: none that the weights have seen
        for file in (image, folder / "masks" / f"{image.stem}.png"):
            cv2.imwrite(str(file), cv2.imread(str(file))[:, ::-1])
    for net in ("fcn", "fcn-if"):
        (tmp_path / "runs" / net).mkdir(parents=True)
        weights = finished / f"clinic.half/{net}.tiny.random/seed0/weights.pt"
        shutil.copy(weights, tmp_path / "runs" / net / "best.pt")
    out = tmp_path / "table"
    assert run_table(out, folder, init=tmp_path / "runs", seeds=1) == 0
    text = (out / "table.md").read_text()
    section = text.split("## second, half, from weights of other training data")[1]
    assert section.count("| extra |") == 2
    assert "not run yet" not in section


def test_other_settings_of_a_finished_cell_are_refused(clinic, finished, capsys):
    error = fails(capsys, finished, clinic, steps=5)
    assert (
        "fcn.tiny.random/seed0/cell.json: was trained with other settings: steps 4 → 5. Give another -o"
        in error
    )


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("{", "not the scores of a cell (JSONDecodeError"),
        ("{}", "not the scores of a cell (KeyError('schema'))"),
        ('{"schema": 0}', "schema 0, this version reads 2. Delete it, to make it again"),
    ],
)
def test_a_broken_cell_is_named(content, line, finished, tmp_path, capsys):
    out = shutil.copytree(finished, tmp_path / "table")
    (out / CELLS[2] / "cell.json").write_text(content)
    error = fails(capsys, out, report_only=True)
    assert f"{CELLS[2]}/cell.json: {line}" in error


def test_broken_numerics_are_named(clinic, tmp_path, capsys):
    out = tmp_path / "table"
    out.mkdir()
    (out / "numerics.json").write_text('{"fast": true}')
    error = fails(capsys, out, clinic)
    assert "numerics.json: not the numerics of its cells (" in error


def test_two_data_sets_of_one_name_are_refused(clinic, tmp_path, capsys):
    other = shutil.copytree(clinic, tmp_path / "other" / clinic.name)
    error = fails(capsys, tmp_path / "table", clinic, other)
    assert "two sources share a name. Give each once, rename a folder" in error


def test_a_report_of_nothing_is_refused(clinic, tmp_path, capsys):
    error = fails(capsys, tmp_path / "tabel", clinic, report_only=True)
    assert "tabel: no finished cell in it. Leave --report-only out, or give another -o" in error


def test_a_frame_of_no_test_part_is_named(clinic, finished, tmp_path, capsys):
    out = shutil.copytree(finished, tmp_path / "table")
    error = fails(capsys, out, clinic, report_only=True, frame="f9")
    assert "--frame 'f9' is in no test part; there are e.g. test0" in error
