"""Globs as inputs: images in natural order, and nothing by accident."""

import os
from pathlib import Path

import cv2
import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip, picture


@pytest.fixture
def frames(tmp_path) -> Path:
    for index in (1, 2, 10):
        cv2.imwrite(os.fspath(tmp_path / f"frame{index}.png"), picture(index))
    cv2.imwrite(os.fspath(tmp_path / "other.jpg"), picture(99))
    return tmp_path


def test_images_come_in_natural_order(frames):
    with open_source(frames / "frame*.png") as source:
        assert (source.is_sequence, source.frame_count, source.path) == (False, 3, frames)
        images = list(source)
    assert [code_of(frame.to_bgr()) for frame in images] == [1, 2, 10]
    assert [frame.name for frame in images] == ["frame1", "frame2", "frame10"]


def test_a_video_that_alone_matches_is_opened(frames):
    make_clip(frames / "clip.mp4", Clip(frames=3))
    with open_source(frames / "*.mp4") as source:
        assert (source.name, len(list(source))) == ("clip.mp4", 3)


def test_a_file_may_be_named_like_a_pattern(frames):
    (frames / "frame1.png").rename(frames / "frame[1].png")
    with open_source(frames / "frame[1].png") as source:
        assert source.frame_count == 1


def test_several_videos_fail(frames):
    for name in ("a.mp4", "b.mp4"):
        make_clip(frames / name, Clip(frames=1))
    with pytest.raises(InputError, match=r"\*\.mp4: matches 2 files, and .\.mp4 is no image; give"):
        open_source(frames / "*.mp4")


def test_images_beside_a_video_fail(frames):
    make_clip(frames / "clip.mp4", Clip(frames=1))
    with pytest.raises(InputError, match=r"matches 5 files, and clip\.mp4 is no image"):
        open_source(frames / "*")


def test_a_pattern_without_matches_fails(frames):
    with pytest.raises(InputError, match=r"\*\.bmp: matches no file; give a pattern"):
        open_source(frames / "*.bmp")
