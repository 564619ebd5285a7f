"""Data sets: what is read, and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.spec import image_fingerprint
from tests.train.polyps import SIZE, write_polyps
from train.data import Source, load_frames, parse_source, resized


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_polyps(tmp_path / "clinic")


@pytest.mark.parametrize("side", [64, 88])  # both axes of 96×80 shrink; one shrinks and one grows
def test_frames_are_the_files_as_the_runtime_would_see_them(folder, side):
    frames = load_frames([parse_source(f"{folder}:half")], "train", side)
    assert len(frames) == 6
    assert frames.sources == ("clinic:half",)
    for image, mask, file in zip(frames.images, frames.masks, frames.files, strict=True):
        path = folder / "images" / file.name
        truth = cv2.imread(str(folder / "masks" / f"{path.stem}.png"), cv2.IMREAD_GRAYSCALE)
        seen = resize_frame(read_image(path), (side, side))
        np.testing.assert_array_equal(image, seen[:, :, ::-1])  # BGR → RGB
        assert set(np.unique(mask)) == {0, 255}
        assert mask.mean() == pytest.approx(truth.mean(), rel=0.1)  # the same share of the picture
        assert file.source == "clinic:half"
        assert file.sha256.startswith(image_fingerprint(path))


def test_sources_follow_each_other(folder, tmp_path):
    other = write_polyps(tmp_path / "hospital", train=2, seed=1)
    frames = load_frames([parse_source(str(folder)), parse_source(str(other))], "train", 64)
    assert frames.source_index.tolist() == [0] * 6 + [1] * 2
    assert [file.name for file in frames.files[-2:]] == ["train0.jpg", "train1.jpg"]


def test_resized_keeps_masks_binary_and_the_rest_as_it_was(folder):
    frames = load_frames([parse_source(str(folder))], "val", 64)
    small = resized(frames, 32)
    assert small.images.shape == (3, 32, 32, 3)
    assert set(np.unique(small.masks)) == {0, 255}
    assert small.files == frames.files
    assert resized(frames, 64) is frames


def test_the_only_split_need_not_be_named(folder):
    assert parse_source(str(folder)) == Source(folder, "half")


def test_splits_may_lie_beside_the_folder(folder):
    (folder / "splits").rename(folder.parent / "splits")
    assert len(load_frames([parse_source(f"{folder}:half")], "val", 32)) == 3


def test_an_unknown_split_fails_listing_what_exists(folder):
    (folder / "splits" / "other_train.txt").write_text("train0\n")
    with pytest.raises(InputError, match=r"split 'thirds' is unknown; there are: half, other\. .*:half"):
        parse_source(f"{folder}:thirds")
    with pytest.raises(InputError, match="no split chosen; there are: half, other"):
        parse_source(str(folder))


def test_a_folder_without_splits_fails_saying_what_to_write(folder):
    (folder / "splits" / "half_train.txt").unlink()
    with pytest.raises(InputError, match=r"none in .*splits\. Split it with python -m train\.prepare"):
        parse_source(str(folder))


def test_a_missing_folder_fails(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder"):
        parse_source(str(tmp_path / "nowhere"))


def test_a_missing_val_part_fails_naming_it(folder):
    (folder / "splits" / "half_val.txt").unlink()
    with pytest.raises(InputError, match=r"half_val: no such split of .*clinic; did you mean half_train\?"):
        load_frames([parse_source(str(folder))], "val", 64)


def test_an_empty_split_fails_naming_the_file(folder):
    (folder / "splits" / "half_val.txt").write_text("\n")
    with pytest.raises(InputError, match=r"half_val\.txt: the split is empty"):
        load_frames([parse_source(str(folder))], "val", 64)


def test_an_image_without_a_mask_fails_naming_it(folder):
    (folder / "masks" / "train3.png").unlink()
    with pytest.raises(InputError, match=r"train3\.jpg: no mask .*train3"):
        load_frames([parse_source(str(folder))], "train", 64)


def test_a_name_without_an_image_fails_naming_it(folder):
    (folder / "images" / "train3.jpg").unlink()
    with pytest.raises(InputError, match=r"frame 'train3' is not in .*images"):
        load_frames([parse_source(str(folder))], "train", 64)


def test_a_mask_of_another_size_fails_naming_both(folder):
    cv2.imwrite(str(folder / "masks" / "train3.png"), np.zeros((40, 50), np.uint8))
    with pytest.raises(InputError, match=rf"train3\.png: 50x40 .* image has {SIZE[0]}x{SIZE[1]}"):
        load_frames([parse_source(str(folder))], "train", 64)


@pytest.mark.parametrize("content", [b"", b"not a picture at all"])
@pytest.mark.parametrize("broken", ["images/train3.jpg", "masks/train3.png"])
def test_a_broken_file_fails_naming_it(folder, broken, content):
    (folder / broken).write_bytes(content)
    with pytest.raises(InputError, match=rf"{broken}: not a readable image"):
        load_frames([parse_source(str(folder))], "train", 64)


def test_two_sources_of_one_name_fail(folder):
    source = parse_source(str(folder))
    with pytest.raises(InputError, match="clinic:half, clinic:half: two sources share a name"):
        load_frames([source, source], "train", 64)


@pytest.mark.needs_data
def test_the_real_data_are_read(data_dir):
    source = parse_source(f"{data_dir / 'cvc-612'}:sequence80-10-10")
    frames = load_frames([source], "val", 64)
    assert len(frames) == len(source.pairs("val")) > 50
    assert frames.masks.any(axis=(1, 2)).all()  # CVC-612 has no frame without a polyp
