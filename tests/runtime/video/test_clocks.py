"""One clock for every input: frames from zero on, as far apart as their container says, and their sound."""

import itertools
import os
import threading
from fractions import Fraction
from pathlib import Path

import av
import cv2
import pytest

from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import Clip, code_of, make_clip

WRAP = 2**33 * 12_800 // 90_000  # ticks of 1/12800 s, after which MPEG's clock starts again
B_FRAMES = {"preset": "medium", "bf": "3", "g": "12"}
AVI = {"time_base": Fraction(1, 25), "options": {"bf": "2", "preset": "medium"}}
MPEG4 = {"time_base": Fraction(1, 25), "codec": "mpeg4", "options": {"bf": "2"}}
MPEG2 = {"codec": "mpeg2video", "options": {"bf": "2"}, "time_base": Fraction(1, 25)}
SOUND = 0.05  # seconds: two frames of AAC, by which sound may begin later and end earlier


def copied(path: Path, out: Path) -> list[tuple[int, float]]:
    """Code and time of each frame of `path`, which are recorded with the sound."""
    frames = []
    with open_source(path) as source, VideoSink(out, source) as sink:
        for frame in source:
            frames.append((code_of(frame.to_bgr()), frame.pts_seconds))
            sink.write(frame)
    return frames


def check(path: Path, out: Path, codes, seconds) -> None:
    """The frames are those of `codes` at `seconds`, in the recording as well, and nothing is beside them."""
    frames = copied(path, out)
    assert [code for code, _ in frames] == list(codes)
    assert [at for _, at in frames] == pytest.approx(list(seconds), abs=0.0006)  # Matroska counts in ms
    with open_source(out) as again:
        assert [frame.pts_seconds for frame in again] == pytest.approx(list(seconds), abs=0.0006)
    end = frames[-1][1] + 0.04
    with av.open(out) as container:
        video = container.streams.video[0]
        assert float(video.duration * video.time_base) == pytest.approx(end, abs=0.002)
        assert container.duration / av.time_base == pytest.approx(end, abs=SOUND)
        ends = (
            [
                (
                    float(packet.pts * packet.time_base),
                    float((packet.pts + packet.duration) * packet.time_base),
                )
                for packet in container.demux(audio=0)
                if packet.size
            ]
            if container.streams.audio
            else []
        )
    capture = cv2.VideoCapture(str(out))
    rate = len(frames) / end
    assert capture.get(cv2.CAP_PROP_FPS) == pytest.approx(rate, rel=0.01)
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == pytest.approx(len(frames), abs=SOUND * rate)
    capture.release()
    if ends:
        assert ends[0][0] < SOUND
        assert ends[-1][1] == pytest.approx(end, abs=2 * SOUND)
        assert all(late[0] - early[1] < SOUND for early, late in itertools.pairwise(ends))


def even(count: int) -> list[float]:
    return [index / 25 for index in range(count)]


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("far.ts", Clip(start=9 * 3600 * 12_800, audio="aac", options=B_FRAMES)),
        ("wraps_in_the_middle.ts", Clip(start=WRAP - 6400, audio="aac", options=B_FRAMES)),
        ("wraps_near_the_start.ts", Clip(start=WRAP - 1024, audio="mp2", options=B_FRAMES)),
        ("late.mkv", Clip(start=64_000, audio="aac", audio_start=5.0, options=B_FRAMES)),
        ("late.mov", Clip(start=64_000, audio="aac", audio_start=5.0, options=B_FRAMES)),
        ("late.flv", Clip(start=64_000, audio="aac", audio_start=5.0, time_base=Fraction(1, 12_800))),
        ("wraps.vob", Clip(**(MPEG2 | {"frames": 25}), audio="ac3")),
        ("b.mp4", Clip(audio="aac", options=B_FRAMES)),
        ("b.avi", Clip(**AVI)),
        ("b4.avi", Clip(**MPEG4, audio="mp2")),
        ("b.h264", Clip(options=B_FRAMES)),
    ],
)
def test_every_clock_starts_at_zero(tmp_path, name, clip):
    if clip.audio and clip.audio_start == 0.0:
        clip = Clip(**(clip.__dict__ | {"audio_start": float(clip.start * clip.time_base)}))
    path = make_clip(tmp_path / name, clip)
    check(path, tmp_path / "out.mp4", range(25), even(25))


@pytest.mark.parametrize(
    ("name", "clip"),
    [
        ("plain.ts", Clip()),
        ("sound.ts", Clip(audio="aac")),
        ("b_frames.ts", Clip(options=B_FRAMES, audio="mp2")),
        ("disc.vob", Clip(**MPEG2, audio="ac3")),
        ("stream.mpg", Clip(**MPEG2, audio="mp2")),
    ],
)
def test_joined_recordings_follow_each_other(tmp_path, name, clip):
    one = make_clip(tmp_path / f"one.{name}", clip)
    two = make_clip(tmp_path / f"two.{name}", Clip(**(clip.__dict__ | {"frames": 13})))
    path = tmp_path / name
    path.write_bytes(one.read_bytes() + two.read_bytes() + one.read_bytes())
    codes = [*range(25), *range(13), *range(25)]
    check(path, tmp_path / "out.mp4", codes, even(63))


def test_a_recording_joined_to_a_much_earlier_one_follows_it(tmp_path):
    path = tmp_path / "joined.ts"
    parts = [make_clip(tmp_path / f"{at}.ts", Clip(frames=10, start=at * 12_800)) for at in (5000, 90_000, 7)]
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    check(path, tmp_path / "out.mp4", [*range(10)] * 3, even(30))


@pytest.mark.parametrize("name", ["gap.mkv", "gap.mp4", "gap.ts"])
def test_a_gap_after_the_first_picture_is_kept(tmp_path, name):
    pts = [0, *range(25_600, 25_600 + 512 * 9, 512)]
    path = make_clip(tmp_path / name, Clip(pts=pts))
    frames = copied(path, tmp_path / "out.mp4")
    expected = [tick / 12_800 for tick in pts]
    assert [at for _, at in frames] == pytest.approx(expected, abs=0.0006)
    with av.open(tmp_path / "out.mp4") as container:
        assert container.duration / av.time_base == pytest.approx(expected[-1] + 0.04, abs=0.002)


@pytest.mark.parametrize("name", ["early.mkv", "early.mp4", "early.ts"])
def test_sound_before_the_first_picture_is_left_out_with_a_word(tmp_path, name):
    clip = Clip(start=2 * 12_800, audio="aac", audio_seconds=3.0)
    path = make_clip(tmp_path / name, clip)
    check(path, tmp_path / "out.mp4", range(25), even(25))
    with open_source(path) as source, VideoSink(tmp_path / "out.mp4", source) as sink:
        for frame in source:
            sink.write(frame)
    (remark,) = source.remarks.lines
    assert remark in ("2.0 s of sound before the first picture are left out", remark.replace("2.0", "1.9"))


def test_the_source_tells_when_its_first_frame_was_shown(tmp_path):
    with open_source(make_clip(tmp_path / "late.mkv", Clip(start=64_000))) as source:
        assert source.start_seconds == 5.0


def test_an_edit_list_that_skips_pictures_is_obeyed(tmp_path):
    path = make_clip(tmp_path / "whole.mp4", Clip(frames=25))
    cut = tmp_path / "cut.mp4"
    with (
        av.open(path) as source,
        av.open(cut, "w", container_options={"avoid_negative_ts": "disabled"}) as out,
    ):
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.pts -= 5 * 512
                packet.dts -= 5 * 512
                packet.stream = stream
                out.mux(packet)
    check(cut, tmp_path / "out.mp4", range(5, 25), even(20))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_a_named_pipe_gives_every_frame_and_the_sound(tmp_path):
    clip = make_clip(tmp_path / "clip.ts", Clip(frames=80, audio="aac", options=B_FRAMES))
    fifo = tmp_path / "fifo.ts"
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: fifo.write_bytes(clip.read_bytes()))
    writer.start()
    check(fifo, tmp_path / "out.mp4", range(80), even(80))
    writer.join()


def test_an_elementary_stream_plays_at_the_rate_of_its_codecs_header(tmp_path):
    path = tmp_path / "fast.h264"
    encoder = av.CodecContext.create("libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = 160, 128, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(60), Fraction(1, 60)
    frames = [av.VideoFrame(160, 128, "yuv420p") for _ in range(60)]
    for index, frame in enumerate(frames):
        frame.pts, frame.time_base = index, encoder.time_base
    path.write_bytes(b"".join(bytes(packet) for frame in [*frames, None] for packet in encoder.encode(frame)))
    with open_source(path) as source:
        assert source.frame_rate == 60
        assert [frame.pts_seconds for frame in source] == pytest.approx([i / 60 for i in range(60)], abs=1e-3)
