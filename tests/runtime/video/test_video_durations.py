"""Recordings of sources whose frames come at uneven times keep every one of them."""

from pathlib import Path

import av
import pytest

from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import Clip, make_clip

STEPS = [0, 1, 2, 3, 4, 5, 6, 9, 12, 15, 18, 21, 24, 30, 31, 40]  # in 25ths of a second


def times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [round(frame.time, 4) for frame in container.decode(video=0)]


@pytest.mark.parametrize("audio", ["aac", None])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_each_frame_of_a_variable_rate_is_recorded_at_its_time(tmp_path, suffix, audio):
    whole = make_clip(tmp_path / f"whole{suffix}", Clip(frames=41, audio=audio))
    with open_source(whole) as source, VideoSink(tmp_path / "out.mp4", source) as sink:
        shown = [frame for index, frame in enumerate(source) if index in STEPS]
        for frame in shown:  # each says that it lasts 40 ms, as decoders guess
            sink.write(frame)
    assert times(tmp_path / "out.mp4") == pytest.approx([frame.pts_seconds for frame in shown], abs=1e-3)
