"""A part of a file has the whole file's frames, bit for bit, wherever it begins."""

from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.file_parts import FilePart, keyframes_of
from rtpolyp.video.video_file import VideoFile
from tests.runtime.clips import Clip, make_clip

OPTIONS = {"preset": "ultrafast", "crf": "20", "g": "25", "bf": "2"}
OPEN_GOP = {"x264-params": "open-gop=1:keyint=25:bframes=3"}
FRAGMENTED = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}


def frames_of(path: Path, part: FilePart | None = None) -> list[tuple[int, bytes]]:
    with VideoFile(path, part=part) as source:
        return [(frame.pts, frame.luma().tobytes()) for frame in source]


@pytest.mark.parametrize(
    ("name", "options", "container"),
    [
        ("plain.mp4", {}, {}),
        ("fragmented.mp4", {}, FRAGMENTED),
        ("open.mp4", OPEN_GOP, {}),
        ("open.mkv", OPEN_GOP, {}),
    ],
)
def test_parts_together_are_the_file(tmp_path: Path, name: str, options: dict, container: dict):
    path = make_clip(
        tmp_path / name, Clip(frames=125, options=OPTIONS | options, container_options=container)
    )
    with VideoFile(path) as source:
        zero = source.zero
    whole = frames_of(path)
    keyframes = keyframes_of(path)
    assert len(keyframes) == 5
    assert set(keyframes) <= {pts for pts, _ in whole}
    between = keyframes[1] + 3
    for first, end in ((0, keyframes[1]), (keyframes[2], keyframes[4]), (between, None)):
        expected = [one for one in whole if one[0] >= first and (end is None or one[0] < end)]
        assert frames_of(path, FilePart(zero, first, end)) == expected


@pytest.mark.parametrize("name", ["clip.avi", "clip.ts"])
def test_a_file_whose_index_is_not_to_be_relied_on_is_not_cut(tmp_path: Path, name: str):
    assert keyframes_of(make_clip(tmp_path / name, Clip(frames=50, options=OPTIONS))) == ()


def test_a_part_behind_the_place_where_a_file_was_cut_off_fails(tmp_path: Path):
    path = make_clip(
        tmp_path / "clip.mp4",
        Clip(frames=125, options=OPTIONS, container_options={"movflags": "faststart"}),
    )
    keyframes = keyframes_of(path)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(InputError, match=r"cut off|can be decoded"):
        frames_of(path, FilePart(0, keyframes[4], None))
