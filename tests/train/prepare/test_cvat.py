"""CVAT's own forms: masks, ellipses, frames of videos, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import InputError
from train.command_line import run_command_line
from train.prepare.__main__ import app
from train.prepare.cvat import read_cvat
from train.prepare.drawing import draw

IMAGE = '<image id="0" name="sub/a.png" width="40" height="30">{}</image>'
VIDEO = """<meta><job><original_size><width>40</width><height>30</height></original_size></job></meta>
<track id="4" label="polyp">{}</track>"""
CORNERS = "5.00,5.00;15.00,5.00;15.00,20.00;5.00,20.00"
POLYGON = f'<polygon {{}} points="{CORNERS}"><attribute name="a">b</attribute></polygon>'


def write(path: Path, body: str) -> Path:
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{body}</annotations>'
    )
    return path


def read(path: Path, body: str, stems: tuple[str, ...] = ("a",)) -> dict:
    return read_cvat(write(path / "annotations.xml", body), stems)


def test_polygons_masks_and_tags_of_an_image(tmp_path: Path) -> None:
    mask = '<mask label="polyp" rle="1, 2, 1, 2" left="30" top="10" width="3" height="2"></mask>'
    tag = '<tag label="blurred"/>'
    reading = draw(read(tmp_path, IMAGE.format(POLYGON.format('label="other"') + mask + tag))["a"])
    expected = np.zeros((30, 40), bool)
    expected[5:20, 5:15] = expected[10, 31:33] = expected[11, 31:33] = True
    np.testing.assert_array_equal(reading.polyp, expected)
    assert reading.classes == {"other": 150, "polyp": 4}


def test_a_turned_ellipse_has_its_area(tmp_path: Path) -> None:
    ellipse = '<ellipse label="polyp" cx="20" cy="15" rx="12" ry="6" rotation="90"/>'
    mask = draw(read(tmp_path, IMAGE.format(ellipse))["a"]).polyp
    assert mask.sum() == pytest.approx(np.pi * 12 * 6, rel=0.03)
    assert mask[4, 20]
    assert not mask[15, 9]


def test_frames_of_a_video_are_found_by_their_number(tmp_path: Path) -> None:
    shapes = POLYGON.format('frame="7" outside="0"') + POLYGON.format('frame="8" outside="1"')
    drawings = read(tmp_path, VIDEO.format(shapes), ("frame_000007", "frame_000008", "cover"))
    assert set(drawings) == {"frame_000007"}
    assert draw(drawings["frame_000007"]).classes == {"polyp": 150}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "no image and no track in it"),
        ("<image>", "not an XML file of CVAT .*Export it as CVAT again"),
        ('<image name="a.png"/>', "an image without name or size"),
        ('<image name="a.png" width="999999" height="999999"/>', "an image without name or size"),
        ('<track id="1"/>', "the video's size is not in it"),
        (VIDEO.format("<polygon/>"), "track 4: a shape without a frame"),
    ],
)
def test_what_is_not_cvat_fails_in_one_line(body: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"annotations\.xml: .*{said}") as error:
        read(tmp_path, body)
    assert "\n" not in str(error.value)


def test_a_frame_that_could_be_two_images_fails(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"frame 7 could be frame_000007 or x7\. Move one away"):
        read(tmp_path, VIDEO.format(""), ("x7", "frame_000007"))


def test_another_xml_ends_in_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clinic/images").mkdir(parents=True)
    (tmp_path / "clinic/annotations.xml").write_text("<html/>")
    assert run_command_line(app, [str(tmp_path / "clinic")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "annotations.xml: not an XML file of CVAT (it begins with html). Export it as CVAT" in line
