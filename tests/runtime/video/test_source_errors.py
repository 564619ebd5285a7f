"""What a source says about input that it cannot use, or not to the end."""

import itertools
import logging
from fractions import Fraction

import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip

FAST_START = {"movflags": "faststart"}  # the index in front, so that a cut file still opens

FRAGMENTED = {"movflags": "empty_moov+default_base_moof", "frag_duration": "500000"}  # no index at all


def cut(path, fraction):
    """Keep the first part of a file."""
    data = path.read_bytes()
    path.write_bytes(data[: int(fraction * len(data))])
    return path


def delivered(path, message):
    """The frames that come before iterating fails with `message`."""
    frames = []
    with open_source(path) as source, pytest.raises(InputError, match=message) as caught:
        frames.extend(source)  # keeps what came before the error
    assert "\n" not in str(caught.value)
    return frames


def test_a_missing_file_fails(tmp_path):
    with pytest.raises(InputError, match=r"gone\.mp4: no such file; give"):
        open_source(tmp_path / "gone.mp4")


def test_an_unknown_extension_fails(tmp_path):
    path = tmp_path / "notes.docx"
    path.write_text("text")
    with pytest.raises(InputError, match=r"notes\.docx: extension '\.docx' is of no known kind; .* mp4 "):
        open_source(path)


@pytest.mark.parametrize("text", ["hello\n" * 500, "1\n00:00:01,000 --> 00:00:02,000\nhello\n\n"])
def test_text_named_mp4_fails(tmp_path, text):
    path = tmp_path / "text.mp4"
    path.write_text(text)
    with pytest.raises(
        InputError,
        match=r"text\.mp4: (not a video that can be read|no video stream|of a kind that is not read)",
    ):
        open_source(path)


def test_an_empty_file_fails(tmp_path):
    path = tmp_path / "empty.mp4"
    path.touch()
    with pytest.raises(InputError, match=r"empty\.mp4: empty \(0 bytes\)"):
        open_source(path)


def test_an_mp4_that_lost_its_index_fails(tmp_path):
    path = cut(make_clip(tmp_path / "cut.mp4"), 0.6)
    with pytest.raises(
        InputError, match=r"cut\.mp4: its index \(moov\) is missing, the recording was cut off"
    ):
        open_source(path)


def test_a_clip_without_picture_fails(tmp_path):
    path = make_clip(tmp_path / "sound.mp4", Clip(frames=0, audio="aac", audio_seconds=1.0))
    with pytest.raises(InputError, match=r"sound\.mp4: (no video stream|holds no frame)"):
        open_source(path)


def test_a_clip_without_frames_fails(tmp_path):
    path = make_clip(tmp_path / "none.mp4", Clip(frames=0, container_options={"movflags": "empty_moov"}))
    with pytest.raises(InputError, match=r"none\.mp4: holds no frame that can be decoded"):
        open_source(path)


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("cut.mp4", Clip(frames=100, container_options=FAST_START)),
        ("sound.mp4", Clip(frames=100, container_options=FAST_START, audio="aac")),
        ("parts.mp4", Clip(frames=100, container_options=FRAGMENTED)),
        ("cut.mkv", Clip(frames=100)),
        ("cut.avi", Clip(frames=100, codec="mpeg4", options={}, time_base=Fraction(1, 25))),
    ],
)
def test_a_file_cut_in_the_middle_gives_its_good_frames_then_fails(tmp_path, name, clip):
    path = make_clip(tmp_path / name, clip)
    with open_source(path) as source:
        assert len(list(source)) == 100  # whole, it does not fail
    frames = delivered(cut(path, 0.6), "cut off; the .* frames before are good")
    assert 30 <= len(frames) < 80
    delivered(path, f"{name}: it was cut off; the {len(frames)} frames before are good, copy")


@pytest.mark.parametrize("extension", ["ts", "h264"])  # with and without timestamps
def test_a_picture_that_changes_its_size_gives_the_frames_before_then_fails(tmp_path, extension):
    one = make_clip(tmp_path / f"one.{extension}", Clip(frames=10)).read_bytes()
    two = make_clip(tmp_path / f"two.{extension}", Clip(frames=10, size=(320, 240), start=5120)).read_bytes()
    path = tmp_path / f"joined.{extension}"
    path.write_bytes(one + two)
    message = (
        r": its picture changes from 160x128 to 320x240 at 0\.4\d\d s; the 10 frames before are good, cut"
    )
    assert len(delivered(path, message)) == 10


def test_an_interlaced_clip_that_changes_its_size_loses_no_frame(tmp_path):
    one = make_clip(tmp_path / "one.ts", Clip(frames=10, interlaced=True)).read_bytes()
    two = make_clip(tmp_path / "two.ts", Clip(frames=10, size=(320, 240), start=5120)).read_bytes()
    path = tmp_path / "joined.ts"
    path.write_bytes(one + two)
    assert len(delivered(path, "160x128 to 320x240 at .* the 10 frames before are good")) == 10


def test_damage_in_the_middle_is_skipped_with_one_warning(tmp_path, caplog):
    path = make_clip(tmp_path / "bad.mp4", Clip(frames=100, container_options=FAST_START))
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = b"\xff" * 3000
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING), open_source(path) as source:
        frames = list(source)
    assert 50 <= len(frames) < 100
    lost, shown = source.losses.lost_pictures, source.losses.damaged_pictures
    assert lost + len(frames) == 100
    said = f"damaged: {lost} pictures lost, {shown} shown with errors"
    assert [record.message for record in caplog.records] == [f"bad.mp4: {said}"]
    assert source.remarks.lines == [said]
    assert all(late.pts > early.pts for early, late in itertools.pairwise(frames))
