"""The times of a raw recording are those of its source, as ffprobe reads both."""

import shutil
from fractions import Fraction

import pytest

from rtpolyp.errors import OutputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.source import open_live
from scripts.compare_streams import NEAR, picture_times
from tests.runtime.clips import Clip, code_of, make_clip

pytestmark = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffmpeg's programs are not installed")

B_FRAMES = {"preset": "medium", "bf": "3", "g": "50"}
TICKS = Clip().time_base
GAPS = [*range(6), 9, 12, 15, 18, 24, 25, 26, 30, 35]  # of a scene that stands still, frames of 25 Hz
VARIABLE = [index * 512 for index in GAPS]
FAR = 50_000 * 12_800  # 14 hours in
CLIPS = {
    "B-frames in Matroska": ("clip.mkv", Clip(frames=30, options=B_FRAMES, audio="aac")),
    "variable in Matroska": ("clip.mkv", Clip(pts=VARIABLE, options=B_FRAMES, audio="aac")),
    "variable in MP4": ("clip.mp4", Clip(pts=VARIABLE, options=B_FRAMES, audio="aac")),
    "variable without sound": ("clip.ts", Clip(pts=VARIABLE, options={"preset": "ultrafast"})),
    "far from zero in MPEG-TS": ("clip.ts", Clip(frames=30, options=B_FRAMES, start=FAR)),
    "far from zero in Matroska": ("clip.mkv", Clip(frames=30, options=B_FRAMES, start=FAR)),
    "29.97 in Flash": (
        "clip.flv",
        Clip(frames=30, rate=Fraction(30_000, 1001), time_base=Fraction(1, 30_000)),
    ),
    "VP9 in WebM": (
        "clip.webm",
        Clip(pts=VARIABLE, codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
    ),
}


def record(clip, out):
    with open_live(clip, options=InputOptions(audio=True)) as source, RawRecorder(out, source) as recorder:
        source.tap = recorder
        return list(source), recorder


@pytest.mark.parametrize(
    ("kind", "out"), [*((kind, "raw.mp4") for kind in CLIPS), ("variable in Matroska", "raw.mkv")]
)
def test_every_picture_is_recorded_at_its_time(tmp_path, kind, out):
    name, traits = CLIPS[kind]
    clip = make_clip(tmp_path / name, traits)
    shown, recorder = record(clip, tmp_path / out)
    given, recorded = picture_times(clip), picture_times(tmp_path / out)
    assert len(recorded) == len(given) == len(shown)
    assert recorded == pytest.approx([at - given[0] for at in given], abs=NEAR)
    assert recorder.lost_packets == 0


@pytest.mark.parametrize(("name", "codec"), [("clip.h264", "libx264"), ("clip.avi", "mpeg4")])
def test_without_times_of_showing_pictures_follow_one_another(tmp_path, name, codec):
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    traits = Clip(frames=12, codec=codec, options=options, time_base=Fraction(1, 25))
    shown, recorder = record(make_clip(tmp_path / name, traits), tmp_path / "raw.mp4")
    assert [code_of(frame.to_bgr()) for frame in shown] == list(range(12))
    assert [frame.pts_seconds for frame in shown] == pytest.approx([index / 25 for index in range(12)])
    assert picture_times(tmp_path / "raw.mp4") == pytest.approx([index / 25 for index in range(12)], abs=NEAR)
    assert recorder.lost_packets == 0


@pytest.mark.parametrize(("name", "codec"), [("clip.h264", "libx264"), ("clip.avi", "mpeg4")])
def test_reordered_pictures_without_times_of_showing_are_refused(tmp_path, name, codec):
    options = B_FRAMES if codec == "libx264" else {"bf": "2"}
    clip = make_clip(tmp_path / name, Clip(codec=codec, options=options, time_base=Fraction(1, 25)))
    with pytest.raises(
        OutputError, match=r"another order than they are shown, .* record the overlay instead"
    ):
        record(clip, tmp_path / "raw.mp4")
    assert not (tmp_path / "raw.mp4").exists()
