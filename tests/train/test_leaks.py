"""No validation or test image is a training image."""

import shutil
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from tests.train.polyps import write_polyps
from train.data import Source, load_frames, parse_source
from train.leaks import check_unseen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_polyps(tmp_path / "clinic")


def check(folder: Path) -> None:
    source: Source = parse_source(str(folder))
    check_unseen([source], load_frames([source], "train", 32).files, "this run")


def test_parts_that_do_not_meet_pass_with_and_without_a_test_part(folder):
    check(folder)
    (folder / "splits" / "half_test.txt").write_text("val0\n")
    check(folder)


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_training_image_under_another_name_fails(folder, part):
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        shutil.copy(folder / kind / f"train2.{suffix}", folder / kind / f"copy.{suffix}")
    (folder / "splits" / f"half_{part}.txt").write_text("val0\ncopy\n")
    with pytest.raises(
        InputError,
        match=rf"copy\.jpg: 1 of the {part} images of clinic:half are training images of this run\. Choose",
    ):
        check(folder)


def test_the_test_part_may_lie_beside_the_folder(folder):
    (folder.parent / "splits").mkdir()
    (folder.parent / "splits" / "half_test.txt").write_text("train1\ntrain3\n")
    with pytest.raises(InputError, match=r"train1\.jpg: 2 of the test images of clinic:half"):
        check(folder)
