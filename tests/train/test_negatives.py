"""Sources of polyp-free frames: what they may not hold, and that they teach nothing alone."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.data import Source, load_frames, parse_source
from train.leaks import check_groups
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.recipe import Recipe


@pytest.fixture
def normal(tmp_path: Path) -> Source:
    """Frames without a polyp, two of a group each."""
    folder = write_polyps(tmp_path / "normal", train=4, val=2, test=2, polyp_free=4)
    for part in ("train", "val", "test"):
        (folder / "splits" / f"half_{part}.txt").rename(folder / "splits" / f"negatives_{part}.txt")
    rows = [f"train{i},clinic,g{i // 2}" for i in range(4)]
    rows += [f"{part}{i},clinic,{part}" for part in ("val", "test") for i in range(2)]
    (folder / "groups.csv").write_text("stem,family,group\n" + "\n".join(rows) + "\n")
    return parse_source(str(folder))


def test_polyp_free_frames_in_whole_groups_are_taken(normal):
    check_groups([normal])
    assert not load_frames([normal], "train", 32).masks.any()


def test_a_frame_with_a_mask_is_named(normal):
    mask = np.zeros((80, 96), np.uint8)
    mask[20:40, 20:40] = 255
    cv2.imwrite(str(normal.folder / "masks" / "train2.png"), mask)
    message = r"train2\.png: shows a polyp, and normal:negatives is a list of frames without one\. Take"
    with pytest.raises(InputError, match=message):
        load_frames([normal], "train", 32)


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_group_in_two_parts_is_named(normal, part):
    groups = normal.folder / "groups.csv"
    groups.write_text(groups.read_text().replace("train3,clinic,g1", f"train3,clinic,{part}"))
    with pytest.raises(InputError, match=rf"{part}0\.jpg: its group {part} has train3 in the train part"):
        check_groups([normal])


def test_a_group_may_cross_the_parts_of_a_published_split(normal):
    for part in ("train", "val", "test"):
        (normal.folder / "splits" / f"negatives_{part}.txt").rename(
            normal.folder / "splits" / f"random_{part}.txt"
        )
    groups = normal.folder / "groups.csv"
    groups.write_text(groups.read_text().replace("train3,clinic,g1", "train3,clinic,val"))
    check_groups([parse_source(str(normal.folder))])


def test_polyp_free_frames_alone_are_refused(normal, tmp_path, monkeypatch):
    tiny_encoder.register(monkeypatch)
    with pytest.raises(InputError, match=r"no polyp in the train part\..* beside --data that shows polyps"):
        fit(
            NetworkSpec("pranet-if", "tiny"),
            Recipe(steps=1, batch=4, sizes=((64, 1.0),)),
            [normal],
            tmp_path / "run",
            Options(pretrained=False),
        )
