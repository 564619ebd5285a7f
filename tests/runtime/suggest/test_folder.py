"""`rtpolyp suggest` on small clips: what it chooses and writes, and what it refuses."""

import contextlib
import csv
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.cli import run_command_line
from rtpolyp.imaging.mask_file import read_mask
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import SPEC, textured_disc
from tests.runtime.stub_engine import StubEngine

SIZE = (160, 128)
TRUSTING, STRICT = replace(SPEC, name="trusting"), replace(SPEC, name="strict", threshold=0.95)


def scene(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A red disc on one texture a second, away for two frames, then nothing red, then grey as a wall."""
    second = index // 10
    bgr = textured_disc(10 * second, size)
    if 4 <= index < 6 or second >= 2:
        bgr = np.where(bgr[..., 2:] == 230, np.uint8(120), bgr)
    return cv2.merge([bgr[..., 1]] * 3) if second == 4 else bgr


def bordered(index: int, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The endoscope's picture at 80, 16 in a black frame with a patient's name."""
    bgr = np.zeros((size[1], size[0], 3), np.uint8)
    bgr[16:272, 80:400] = textured_disc(index, (320, 256))
    cv2.putText(bgr, "DOE", (4, 60), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (255, 255, 255))
    return bgr


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    faststart = {"movflags": "faststart"}
    make_clip(folder / "scenes.mp4", Clip(SIZE, 50, Fraction(10), container_options=faststart), scene)
    make_clip(folder / "doe.mp4", Clip((416, 288), 13), bordered)
    make_clip(folder / "wall.mp4", Clip(SIZE, 13), lambda index, size: scene(40, size))
    (folder / "broken.mp4").write_bytes(b"no video" * 99)
    cv2.imwrite(str(folder / "still.png"), scene(0, SIZE))
    return folder


@pytest.fixture(autouse=True)
def stubs(clips: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Two engines without a network: one outlines what is red, one nothing."""
    specs = {"pranet-if": TRUSTING, "pranet-if-plus": STRICT}

    @contextlib.contextmanager
    def opened(recipe: object) -> Iterator[StubEngine]:
        with StubEngine(specs[recipe.engine]) as engine:
            yield engine

    monkeypatch.setattr("rtpolyp.cli.suggest.open_guarded", opened)
    monkeypatch.chdir(clips)


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "suggested.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def suggest(*arguments: object) -> int:
    return run_command_line(["suggest", *map(str, arguments)])


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The first line on stderr of a call that must end with exit code 2."""
    assert suggest(*arguments) == 2
    line, *_ = capsys.readouterr().err.splitlines()
    return line


def test_the_folder_is_a_data_set(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert suggest("scenes.mp4", "-n", 3, "-o", out) == 0
    said = capsys.readouterr().out
    assert "3 frames" in said
    assert "  disagreement: 2" in said
    assert "  spread: 1" in said
    found = rows(out)
    assert [row["reasons"].split()[0] for row in found] == ["disagreement", "disagreement", "spread"]
    assert all(int(row["frame"]) < 40 for row in found)  # the wall is outside the body
    assert float(found[0]["seconds"]) == int(found[0]["frame"]) / 10
    names = sorted(row["file"] for row in found)
    for part in ("images", "masks"):
        assert sorted(path.name for path in (out / part).iterdir()) == names
    mask = read_mask(out / "masks" / found[0]["file"])
    assert mask.sum() == pytest.approx(np.pi * 21**2, rel=0.1)
    picture = cv2.imread(str(out / "images" / found[0]["file"]))
    assert picture[mask][:, 2].mean() > 200
    assert picture.shape == (128, 160, 3)
    assert run_command_line(["export", str(out), "--format", "coco", "-o", str(tmp_path / "coco")]) == 0


def test_the_same_videos_give_the_same_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert suggest("scenes.mp4", "doe.mp4", "-n", 6, "-o", tmp_path / name) == 0
    one, two = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("one", "two")
    )
    assert one == two
    assert {row["video"] for row in rows(tmp_path / "one")} == {"scenes.mp4", "doe.mp4"}


def test_crop_keeps_the_endoscope_picture_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for crop, shape in (("auto", (256, 320, 3)), ("off", (288, 416, 3))):
        out = tmp_path / crop
        assert suggest("doe.mp4", "-n", 1, "-o", out, "--crop", crop) == 0
        (image,) = (out / "images").iterdir()
        assert np.allclose(cv2.imread(str(image)).shape, shape, atol=6 if crop == "auto" else 0)
        mask, red = read_mask(out / "masks" / image.name), cv2.imread(str(image))[..., 2] > 200
        assert (mask & red).sum() > 0.9 * mask.sum()
        assert "no certain border" not in capsys.readouterr().out


def test_what_is_short_or_has_no_border_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suggest("scenes.mp4", "wall.mp4", "-n", 99, "-o", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "frames of the 99 asked for" in said
    assert "wall.mp4: no frame is fit for a label" in said
    assert "scenes.mp4: no certain border around the endoscope's picture" in said


def test_unreadable_videos_among_good_ones_are_listed(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (clips / "scenes.mp4").open("rb") as whole:
        (tmp_path / "half.mp4").write_bytes(whole.read((clips / "scenes.mp4").stat().st_size * 4 // 5))
    videos = ("broken.mp4", tmp_path / "half.mp4", "still.png", tmp_path, "gone.mp4")
    assert suggest(*videos, "-n", 1, "-o", tmp_path / "out") == 2
    said = capsys.readouterr().out
    assert "cannot be read, or not to the end (5):" in said
    assert all(f"\n  {name}: " in said for name in ("broken.mp4", "still.png", "gone.mp4"))
    assert "half.mp4: " in said  # what is before its end is used
    assert "still.png: is no video; give video files" in said
    assert f"{tmp_path}: is a folder; give the video files in it" in said
    assert len(rows(tmp_path / "out")) == 1


def test_videos_of_one_name_and_odd_names_stay_apart(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "=x y.mp4").write_bytes(Path("doe.mp4").read_bytes())
    assert suggest(*tmp_path.glob("?/*.mp4"), "-n", 2, "-o", tmp_path / "out") == 0
    assert len(rows(tmp_path / "out")) == 1  # the other shows the same views
    groups = (tmp_path / "out" / "groups.csv").read_text().splitlines()
    assert groups[0] == "file,patient"
    assert groups[1].partition("-")[0] == "_x_y"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("wall.mp4",), "rtpolyp: no frame of these videos is fit for a label"),
        (("broken.mp4", "gone.mp4"), "rtpolyp: no frame of these videos is fit for a label"),
        ((), "rtpolyp: no video: give one or more video files"),
        (("scenes.mp4", "-n", 0), "rtpolyp: --count 0 is outside [1, inf): give a number of frames"),
        (("scenes.mp4", "-n", "many"), "rtpolyp: "),
        (("scenes.mp4", "scenes.mp4"), "rtpolyp: scenes.mp4: is given twice; leave one out"),
        (("rtsp://camera/x",), "rtpolyp: rtsp://camera/x: frames are decoded twice"),
        (("scenes.mp4", "--against", "pranet-if"), "rtpolyp: --against trusting: is the network to compare"),
        (("scenes.mp4", "--crop", "all"), "rtpolyp: crop 'all' is not understood"),
    ],
)
def test_what_cannot_be_suggested_fails(
    arguments: tuple[object, ...], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fails(capsys, *arguments, "-o", tmp_path / "out").startswith(said)
    assert not list(tmp_path.iterdir())


def test_a_second_run_into_the_same_folder_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert suggest("doe.mp4", "-n", 1, "-o", tmp_path / "out") == 0
    assert "out: is there already, and not an empty folder" in fails(
        capsys, "doe.mp4", "-o", tmp_path / "out"
    )


def test_the_shipped_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clips: Path) -> None:
    monkeypatch.undo()
    assert suggest(clips / "doe.mp4", "-n", 1, "-o", tmp_path / "out", "--precision", "fp32") == 0
    assert len(list((tmp_path / "out" / "images").iterdir())) == len(rows(tmp_path / "out")) == 1
