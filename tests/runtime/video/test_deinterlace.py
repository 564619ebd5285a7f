"""--deinterlace: by the frames' marks, always, or never."""

import numpy as np
import pytest

from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip, picture


def woven(index: int, size: tuple[int, int]):
    """Two pictures in alternate lines, as a capture card gives 1080i without marking it."""
    bgr = picture(index, size).copy()
    bgr[0::2] = picture(index + 1, size)[0::2]
    return bgr


def comb(luma) -> float:
    """How much lines differ from their neighbours beyond what those differ from each other."""
    lines = luma.astype(int)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


def frames_of(path, how):
    with open_source(path, options=InputOptions(deinterlace=how)) as source:
        return list(source)


@pytest.fixture
def calm(tmp_path) -> float:
    with open_source(make_clip(tmp_path / "calm.mp4", Clip(frames=12))) as source:
        return comb(list(source)[6].luma())


@pytest.mark.parametrize(("how", "is_calm"), [("auto", False), ("on", True), ("off", False)])
def test_lines_that_are_not_marked(tmp_path, calm, how, is_calm):
    path = make_clip(tmp_path / "unmarked.mp4", Clip(frames=12), woven)
    frames = frames_of(path, how)
    assert [frame.pts for frame in frames] == [512 * i for i in range(12)]
    assert (comb(frames[6].luma()) < 1.2 * calm) == is_calm


@pytest.mark.parametrize(("how", "is_calm"), [("auto", True), ("on", True), ("off", False)])
def test_lines_that_are_marked(tmp_path, calm, how, is_calm):
    frames = frames_of(make_clip(tmp_path / "marked.mp4", Clip(frames=12, interlaced=True)), how)
    assert len(frames) == 12
    assert (comb(frames[6].luma()) < 1.2 * calm) == is_calm


def test_progressive_frames_stay_whole_by_default(tmp_path):
    frames = frames_of(make_clip(tmp_path / "clip.mp4", Clip(frames=3)), "auto")
    assert [code_of(frame.to_bgr()) for frame in frames] == [0, 1, 2]
