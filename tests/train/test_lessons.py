"""Teachers and hard crops in a training: they change it, resume with it, and are checked for leaks."""

from pathlib import Path

import cv2
import pytest
import torch

from rtpolyp.errors import InputError
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from tests.train.test_loop import FLOAT32, assert_same, stop_in_step
from train.checkpoint import load_checkpoint
from train.data import Source, load_frames, parse_source
from train.export.heldout import load_frames_of, load_held_out
from train.hard_crops import HardCrop, write_hard_crops
from train.loop import Options, fit
from train.networks import NetworkSpec
from train.recipe import Recipe

SPEC = NetworkSpec("pranet-if", "tiny")
RECIPE = Recipe(
    steps=5, batch=6, sizes=((64, 1.0),), validate_every=5, lr_decoder=1e-2, polyp_free_crops=0.34,
    transfer=0.5, copy_paste=0.17, copy_paste_onto=0.5, borders=0.5, text=0.5, motion_blur=0.5, patches=0.3,
    paint_box=0.5, remove_box=0.5,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> list[Source]:
    root = tmp_path_factory.mktemp("data")
    return [parse_source(str(write_polyps(root / name, seed=seed))) for seed, name in enumerate("ab")]


def run(sources: list[Source], out: Path, recipe: Recipe = RECIPE, **options) -> Path:
    return fit(SPEC, recipe, sources, out, Options(pretrained=False, numerics=FLOAT32, **options))


@pytest.fixture(scope="module")
def teacher(sources, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        tiny_encoder.register(patch)
        return run(sources, tmp_path_factory.mktemp("runs") / "teacher")


@pytest.fixture(scope="module")
def hard_crops(sources, tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("crops") / "hard.csv"
    frames = load_frames(sources, "train", 32)
    write_hard_crops([HardCrop(f.name, f.sha256, 0, 0, 0.3, 0.3, 0.5) for f in frames.files], file)
    return file


def test_a_run_with_everything_added_resumes_to_the_same_weights(
    sources, teacher, hard_crops, tmp_path, monkeypatch
):
    lessons = {"teachers": [str(teacher)], "hard_crops": hard_crops}
    run(sources, tmp_path / "whole", **lessons)
    stop_in_step(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run(sources, tmp_path / "cut", **lessons)
    monkeypatch.undo()
    tiny_encoder.register(monkeypatch)
    with pytest.raises(InputError, match=r"was trained with other teachers or hard crops\. Give the same"):
        run(sources, tmp_path / "cut", resume=True, teachers=[str(teacher)])
    run(sources, tmp_path / "cut", resume=True, **lessons)
    assert_same(tmp_path / "whole", tmp_path / "cut")
    learned, plain = load_checkpoint(tmp_path / "whole" / "last.pt"), load_checkpoint(teacher)
    assert len(learned.lessons) == 2
    assert set(learned.earlier) == set(plain.files)
    assert any(not torch.equal(learned.ema[key], plain.ema[key]) for key in plain.ema)


def test_a_teacher_that_has_seen_validation_frames_is_refused(sources, teacher, tmp_path):
    folder = sources[0].folder
    (folder / "splits" / "other_train.txt").write_text("val0\nval1\nval2\n")
    (folder / "splits" / "other_val.txt").write_text("train0\ntrain1\n")
    with pytest.raises(
        InputError, match=r"2 of the val images of a:other are training images of the teacher"
    ):
        run([Source(folder, "other"), sources[1]], tmp_path / "run", teachers=[str(teacher)])


def test_hard_crops_do_not_go_with_cropped_pictures(sources, hard_crops, tmp_path):
    with pytest.raises(InputError, match=r"hard.csv: lists parts of whole frames. Leave picture_crop or"):
        run(sources, tmp_path / "run", RECIPE.changed(picture_crop=True), hard_crops=hard_crops)


def with_border(folder: Path) -> Path:
    """The data set with a black border around its frames."""
    for kind in ("images", "masks"):
        for file in (folder / kind).iterdir():
            pixels = cv2.imread(str(file), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(file), cv2.copyMakeBorder(pixels, 20, 20, 40, 12, cv2.BORDER_CONSTANT))
    return folder


def test_frames_are_cropped_to_the_picture_in_training(tmp_path):
    """Within a black border: training frames hold the picture alone, and the mask moves with it."""
    plain, bordered = write_polyps(tmp_path / "plain"), with_border(write_polyps(tmp_path / "bordered"))
    one, other = (
        load_frames([parse_source(str(folder))], "train", 64, picture_crop=crops)
        for folder, crops in ((plain, False), (bordered, True))
    )
    agree = ((one.masks > 0) == (other.masks > 0)).mean(axis=(1, 2))
    assert agree.min() > 0.98
    whole = load_frames([parse_source(str(bordered))], "train", 64)
    assert whole.masks.mean() < 0.8 * other.masks.mean()


def test_held_out_frames_are_cropped_as_those_of_training(tmp_path):
    plain, bordered = write_polyps(tmp_path / "plain"), with_border(write_polyps(tmp_path / "bordered"))
    one = load_held_out([parse_source(str(plain))], (64, 64))
    other = load_held_out([parse_source(str(bordered))], (64, 64), picture_crop=True)
    assert (one.truth == other.truth).mean(axis=(1, 2)).min() > 0.98
    drawn = load_frames_of([parse_source(str(bordered))], 6, (64, 64), 0, picture_crop=True)
    assert drawn.min(axis=3).mean() > 0.9 * one.frames.min(axis=3).mean()  # no black border in it
