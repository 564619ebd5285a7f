"""`rtpolyp export` of a run and of a data set, into every format, and what it refuses."""

import json
import shutil
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.labels import FORMATS, read_run
from tests.runtime.clips import Clip, make_clip
from tests.runtime.labels.shapes import SIZE, masks, write_pictures
from tests.runtime.red_disc import disc
from tests.runtime.tiny_bundle import write_tiny_bundle

OLD = Path(__file__).parents[1] / "compatibility/version_0_1_0/results.jsonl"


def export(*arguments: object) -> int:
    return run_command_line(["export", *map(str, arguments)])


def fails(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """The one line on stderr of a call that must end with exit code 2."""
    assert export(*arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """JSON lines of an earlier version, of three frames with one track."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copy(OLD, tmp_path / "run.jsonl"))


@pytest.mark.parametrize("form", FORMATS)
def test_a_run_of_an_earlier_version_is_exported(
    form: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(run, "--format", form) == 0
    output = capsys.readouterr().out
    assert "3 polyps in 3 frames" in output
    assert f"wrote run-{form}" in output


def test_coco_has_polygons_and_tracks(run: Path) -> None:
    assert export(run, "--format", "coco", "-o", "out") == 0
    content = json.loads(Path("out/annotations/instances_default.json").read_text())
    assert [image["file_name"] for image in content["images"]] == [f"00000{index}.png" for index in range(3)]
    polyp = json.loads(run.read_text().splitlines()[1])["polyps"][0]
    entry = content["annotations"][0]
    assert entry["segmentation"] == [np.ravel(polyp["contour"]).tolist()]
    assert (entry["track_id"], entry["attributes"]["track_id"], entry["score"]) == (1, 1, polyp["confidence"])
    assert entry["area"] == pytest.approx(polyp["area"], rel=0.02)


def test_cvat_has_a_track_with_keyframes(run: Path) -> None:
    assert export(run, "--format", "cvat", "--every", 2, "-o", "out") == 0
    root = Xml.parse("out/annotations.xml").getroot()
    (track,) = root.findall("track")
    shapes = [(shape.get("frame"), shape.get("keyframe"), shape.get("outside")) for shape in track]
    assert shapes == [("0", "1", "0"), ("1", "0", "0"), ("2", "1", "0")]
    assert root.findtext("meta/task/original_size/width") == "160"


def test_a_track_that_ends_is_outside_in_the_next_frame(run: Path) -> None:
    lines = [json.loads(line) for line in run.read_text().splitlines()]
    lines[3]["polyps"] = []
    run.write_text("\n".join(map(json.dumps, lines)))
    assert export(run, "--format", "cvat", "-o", "out") == 0
    (track,) = Xml.parse("out/annotations.xml").getroot().findall("track")
    assert [(shape.get("frame"), shape.get("outside")) for shape in track] == [
        ("0", "0"),
        ("1", "0"),
        ("2", "1"),
    ]


def test_every_second_frame_is_exported(run: Path) -> None:
    assert export(run, "--format", "masks", "--every", 2, "-o", "out") == 0
    assert sorted(path.name for path in Path("out/masks").iterdir()) == ["000000.png", "000002.png"]


def test_a_data_set_is_exported_with_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = write_pictures(tmp_path / "set", list(masks()))
    (data / "masks").mkdir()
    for name, mask in masks().items():
        assert cv2.imwrite(str(data / "masks" / f"{name}.png"), mask.astype(np.uint8) * 255)
    (data / "some.txt").write_text("ring\ndisc\n")
    assert export(data, "--format", "masks", "--split", data / "some.txt") == 0
    assert {path.name for path in Path("set-masks/images").iterdir()} == {"ring.png", "disc.png"}
    np.testing.assert_array_equal(read_mask(Path("set-masks/masks/ring.png")), masks()["ring"])


def test_runs_on_a_video_and_on_images_are_exported_with_their_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_tiny_bundle(tmp_path / "tiny")
    make_clip(tmp_path / "disc.mp4", Clip((160, 128), 4), disc)
    (tmp_path / "stills/a").mkdir(parents=True)
    for name, size in (("x.jpg", (160, 128)), ("y.png", (96, 80))):
        assert cv2.imwrite(str(tmp_path / "stills" / name), disc(0, size))
    for source in ("disc.mp4", "stills"):
        flags = [
            "--engine",
            "tiny",
            "--precision",
            "fp32",
            "--json",
            f"{source}.jsonl",
            "-o",
            f"{source}.out",
        ]
        flags[-1] += ".mp4" if source == "disc.mp4" else ""
        assert run_command_line(["run", source, *flags]) == 0
        assert export(f"{source}.jsonl", "--format", "coco", "--images", source, "-o", f"{source}.coco") == 0
    assert len(list(Path("disc.mp4.coco/images").iterdir())) == 4
    assert {path.name for path in Path("stills.coco/images").iterdir()} == {"x.jpg", "y.png"}
    images = json.loads(Path("stills.coco/annotations/instances_default.json").read_text())["images"]
    assert [(image["file_name"], image["width"], image["height"]) for image in images] == [
        ("x.jpg", 160, 128),
        ("y.png", 96, 80),
    ]
    assert [frame.size for frame in read_run(Path("stills.jsonl")).frames] == [(160, 128), (96, 80)]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not JSON lines of rtpolyp run"),
        ("{}\n", "not JSON lines of rtpolyp run"),
        ("{\n", "line 1: not JSON"),
        ('{"schema": 1, "size": [9, 9]}\n', "no frame in it, nothing to export"),
        ('{"schema": 1}\n{"index": 0, "name": "a", "polyps": []}\n', "give the pictures with --images"),
        (
            '{"schema": 1, "size": [9, 9]}\n{"index": 0, "name": "a", "polyps": [{}]}\n',
            "line 2: no frame of rtpolyp run",
        ),
        (
            '{"schema": 1, "size": [9, 9]}\n{"index": 0, "name": "a", "polyps": '
            '[{"contour": [[1, 1], [99, 1], [1, 5]], "confidence": 1}]}\n',
            "line 2: no frame of rtpolyp run (a contour outside the picture",
        ),
    ],
)
def test_what_is_no_run_fails(
    content: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("run.jsonl").write_text(content)
    line = fails(capsys, "run.jsonl", "--format", "coco")
    assert line.startswith("rtpolyp: run.jsonl: ")
    assert said in line
    assert not Path("run-coco").exists()


def test_wrong_flags_fail(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert fails(capsys, run, "--format", "coca").startswith(
        "rtpolyp: --format 'coca' is unknown; did you mean coco?"
    )
    assert "no such" in fails(capsys, "none.jsonl", "--format", "coco").lower()
    assert "--split is for data sets" in fails(capsys, run, "--format", "coco", "--split", "x")
    assert "--every 0 is outside" in fails(capsys, run, "--format", "coco", "--every", 0)
    Path("full").mkdir()
    Path("full/file").touch()
    assert "full: is there already" in fails(capsys, run, "--format", "coco", "-o", "full")
    write_pictures(Path("set"), ["a"])
    assert "set: no folder masks/ in it" in fails(capsys, "set", "--format", "coco")
    assert "--images: a data set has its images" in fails(
        capsys, "set", "--format", "coco", "--images", "set"
    )


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set of one mask with holes, whose picture has a name that XML 1.0 cannot hold."""
    monkeypatch.chdir(tmp_path)
    data = write_pictures(tmp_path / "set", ["ring"])
    (data / "masks").mkdir()
    assert cv2.imwrite("set/masks/ring.png", masks()["ring"].astype(np.uint8) * 255)
    for folder in ("images", "masks"):
        Path("set", folder, "ring.png").rename(Path("set", folder, "ring\x01.png"))
    return Path("set")


def test_a_name_that_xml_cannot_hold_fails(ring: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a name that XML cannot hold; rename the file" in fails(capsys, ring, "--format", "cvat")
    assert not Path("set-cvat").exists()


def test_holes_in_coco_need_pycocotools(
    ring: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    line = fails(capsys, ring, "--format", "coco")
    assert "needs pycocotools. Install it: pip install 'rtpolyp[labels]'" in line


@pytest.mark.parametrize("form", FORMATS)
def test_no_format_is_written_where_a_file_is(
    form: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    line = fails(capsys, run, "--format", form, "-o", "file/out")
    assert line.startswith("rtpolyp: file/out: cannot be written")


def test_another_video_fails_and_leaves_nothing(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_clip(Path("short.mp4"), Clip((160, 128), 2), disc)
    make_clip(Path("small.mp4"), Clip(SIZE, 3), disc)
    assert "short.mp4: has no frame 2 of the run" in fails(
        capsys, run, "--format", "coco", "--images", "short.mp4"
    )
    assert "small.mp4: 120x96 pixels, but the run saw 160x128" in fails(
        capsys, run, "--format", "coco", "--images", "small.mp4"
    )
    assert not list(Path().glob("*coco*"))
