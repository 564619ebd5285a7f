"""What the loop refuses, one line each."""

import shutil
from dataclasses import replace

import cv2
import pytest

from rtpolyp.errors import InputError, OutputError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from tests.train.short_run import RECIPE, run
from train.data import Source, parse_source


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    return parse_source(str(write_polyps(tmp_path_factory.mktemp("data") / "clinic", polyp_free=1)))


def test_a_run_is_not_overwritten_unless_it_is_resumed(source, tmp_path):
    run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1))
    with pytest.raises(InputError, match=r"run: already holds a run\. Add --resume"):
        run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1))


def test_resuming_with_other_settings_fails_naming_them(source, tmp_path):
    run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1))
    other = replace(RECIPE, steps=2, blur=0.5)
    with pytest.raises(InputError, match=r"other settings: steps 1 → 2, blur 0\.2 → 0\.5\. Give the same"):
        run(source, tmp_path / "run", recipe=other, resume=True)


def test_resuming_with_other_files_fails(source, tmp_path):
    run(source, tmp_path / "run", recipe=replace(RECIPE, steps=1))
    other = parse_source(str(write_polyps(tmp_path / "clinic", seed=5)))
    with pytest.raises(InputError, match="was trained on other files"):
        run(other, tmp_path / "run", recipe=replace(RECIPE, steps=1), resume=True)


def test_a_validation_image_among_the_training_images_fails(tmp_path):
    folder = write_polyps(tmp_path / "clinic")
    shutil.copy(folder / "images" / "train2.jpg", folder / "images" / "val1.jpg")
    with pytest.raises(
        InputError, match=r"val1\.jpg: 1 of the val images of clinic:half are training images"
    ):
        run(parse_source(str(folder)), tmp_path / "run")


@pytest.mark.parametrize("part", ["train", "val"])
def test_a_part_without_any_polyp_fails(tmp_path, part):
    folder = write_polyps(tmp_path / "clinic")
    for mask in (folder / "masks").glob(f"{part}*.png"):
        cv2.imwrite(str(mask), 0 * cv2.imread(str(mask)))
    with pytest.raises(InputError, match=rf"clinic:half: no polyp in the {part} part\. Masks hold 255"):
        run(parse_source(str(folder)), tmp_path / "run")


def test_a_folder_that_cannot_be_made_fails(source, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/run: cannot be made \(Not a directory\)"):
        run(source, tmp_path / "file" / "run")


@pytest.mark.parametrize("device", ["abacus", "cuda:99"])
def test_a_device_that_is_not_there_fails(source, tmp_path, device):
    with pytest.raises(InputError, match=rf"device '{device}': .*Give cpu, or cuda where") as error:
        run(source, tmp_path / "run", device=device)
    assert "\n" not in str(error.value)
