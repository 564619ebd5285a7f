"""DICOM in a hospital's folder: pixels come into the data set, patients do not."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.measure.groups import read_groups
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip
from tests.runtime.dicom_files import NESTED, PLANTED, PRIVATE, still, stream
from tests.train.prepare.clinic import SIZE, disc, view, write
from train.command_line import run_command_line
from train.prepare import Options, prepare
from train.prepare.__main__ import app

HALVES = Options(val=0.25, test=0.25)
ANNOTATED = (0, 2, 5)


@pytest.fixture
def clinic(tmp_path: Path) -> Path:
    """Stills without extension, named by UIDs, and a video of which some frames have masks."""
    folder = tmp_path / "clinic"
    (folder / "images").mkdir(parents=True)
    lines = ["file,patient"]
    for number in range(8):
        name = f"1.2.840.{number}"
        still(folder / "images" / name, view(number))
        write(folder / "masks" / f"{name}.png", disc(8 + number).astype(np.uint8) * 255)
        lines.append(f"{name},P{number}")
    stream(folder / "images" / "IM0001", clip=Clip(size=SIZE, frames=6), draw=lambda n, size: view(50 + n))
    (folder / "images" / "IM0001.mp4").unlink()
    for number in ANNOTATED:
        write(folder / "masks" / f"IM0001-{number:06d}.png", disc(20).astype(np.uint8) * 255)
    (folder / "groups.csv").write_text("\n".join([*lines, "IM0001,P-video"]))
    return folder


def test_stills_and_annotated_frames_become_pictures_without_a_patient(clinic, tmp_path):
    report = prepare(clinic, tmp_path / "out", HALVES)
    assert (report.images, report.polyp) == (11, 11)
    names = sorted(path.name for path in (tmp_path / "out" / "images").iterdir())
    assert names == [f"1.2.840.{n}.png" for n in range(8)] + [f"IM0001-{n:06d}.png" for n in ANNOTATED]
    np.testing.assert_array_equal(read_image(tmp_path / "out" / "images" / "1.2.840.3.png"), view(3))
    with open_source(clinic / "images" / "IM0001") as source:
        frames = [frame.to_bgr() for frame in source]
    for number in ANNOTATED:
        image = read_image(tmp_path / "out" / "images" / f"IM0001-{number:06d}.png")
        np.testing.assert_array_equal(image, frames[number])
    groups = read_groups(tmp_path / "out" / "groups.csv", "out")
    assert {groups[f"IM0001-{number:06d}"].name for number in ANNOTATED} == {"P-video"}
    content = b"".join(path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file())
    assert not [value for value in (*PLANTED.values(), NESTED, PRIVATE) if value.encode() in content]


def test_frames_of_a_video_need_a_patient(clinic, tmp_path):
    (clinic / "groups.csv").unlink()
    with pytest.raises(InputError, match=r"groups\.csv: missing, and frames of a video belong together"):
        prepare(clinic, tmp_path / "out", HALVES)
    (clinic / "groups.csv").write_text("\n".join(["file,patient", *(f"1.2.840.{n},P{n}" for n in range(8))]))
    with pytest.raises(InputError, match=r"no patient of images/IM0001$"):
        prepare(clinic, tmp_path / "out", HALVES)


def test_a_video_without_annotated_frames_is_no_data_set(clinic, tmp_path):
    for path in (clinic / "masks").iterdir():
        path.unlink()
    for number in range(8):
        (clinic / "images" / f"1.2.840.{number}").unlink()
    with pytest.raises(InputError, match="none of its frames has an annotation"):
        prepare(clinic, tmp_path / "out", HALVES)
    with pytest.raises(
        InputError, match=r"corrected \(1\):\n  images/IM0001: a video; put those of its frames"
    ):
        prepare(clinic, tmp_path / "out", Options(0.25, 0.25, polyp_free=True))


def test_a_broken_object_is_named(clinic, tmp_path, capsys):
    path = clinic / "images" / "1.2.840.3"
    path.write_bytes(path.read_bytes()[:-999])
    assert run_command_line(app, [str(clinic), "-o", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "images/1.2.840.3: " in said
    assert "it was cut" in said


def test_a_frame_that_the_stream_lacks_is_named(clinic, tmp_path):
    stream(clinic / "images" / "IM0001", clip=Clip(size=SIZE, frames=3), NumberOfFrames=6)
    (clinic / "images" / "IM0001.mp4").unlink()
    with pytest.raises(InputError, match="holds no frame 5, and it is annotated"):
        prepare(clinic, tmp_path / "out", HALVES)


def test_pixels_of_masks_may_be_dicom(clinic, tmp_path):
    mask = clinic / "masks" / "1.2.840.3.png"
    grey = cv2.imread(str(mask))
    mask.unlink()
    still(clinic / "masks" / "1.2.840.3", grey, colour="MONOCHROME2")
    assert prepare(clinic, tmp_path / "out", HALVES).images == 11
