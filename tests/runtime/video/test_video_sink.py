"""VideoSink: what a recording keeps of its source, and what it survives."""

import os
import signal
import subprocess
import sys
import textwrap
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import EncoderSettings, VideoSink
from tests.runtime.clips import Clip, code_of, make_clip, picture

AT_RISK = 15  # frames: a fragment of half a second, and one or two in hand
LOSSY = 3.5  # levels, mean: encoded twice


def copy(source_path, path, **options):
    """Record a clip frame by frame, as the pipeline does; return what was written."""
    with open_source(source_path) as source, VideoSink(path, source, **options) as sink:
        frames = list(source)
        for frame in frames:
            sink.write(frame)
    return frames


def read(path):
    with open_source(path) as source:
        return source, list(source)


CLOCKS = {
    "constant.mp4": Clip(),
    "ntsc.mp4": Clip(rate=Fraction(30_000, 1001), time_base=Fraction(1, 30_000)),
    "variable.mkv": Clip(pts=[0, 40, 80, 250, 251, 900, 940], time_base=Fraction(1, 1000)),
    "variable.mp4": Clip(pts=[0, 512, 1000, 4000, 4001]),
    "late.mkv": Clip(start=64_000, frames=10),
    "late.ts": Clip(start=64_000, frames=10),
    "b_frames.mp4": Clip(options={"preset": "medium", "bf": "3"}),
    "raw.h264": Clip(frames=10),
}


@pytest.mark.parametrize("name", CLOCKS)
def test_every_timestamp_is_kept(tmp_path, name):
    written = copy(make_clip(tmp_path / name, CLOCKS[name]), tmp_path / "out.mp4")
    _, frames = read(tmp_path / "out.mp4")
    assert [frame.pts * frame.time_base for frame in frames] == [
        frame.pts * frame.time_base for frame in written
    ]
    assert frames[-1].native.duration * frames[-1].time_base == (
        written[-1].native.duration * written[-1].time_base
    )
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(len(written)))


@pytest.mark.parametrize("audio", [None, "aac"])
def test_timestamps_stay_exact_beside_sound(tmp_path, audio):
    copy(make_clip(tmp_path / "clip.mp4", Clip(audio=audio)), tmp_path / "out.mp4")
    _, frames = read(tmp_path / "out.mp4")
    assert [frame.pts_seconds for frame in frames] == [i / 25 for i in range(25)]


def test_picture_colour_tags_and_pixel_aspect_are_kept(tmp_path):
    clip = Clip(
        matrix=1, primaries=1, transfer=1, colour_range=2, pixel_format="yuvj420p", aspect=Fraction(4, 3)
    )
    copy(make_clip(tmp_path / "clip.mp4", clip), tmp_path / "out.mp4")
    source, frames = read(tmp_path / "out.mp4")
    with open_source(tmp_path / "clip.mp4") as original:
        assert source.format == original.format
    assert np.abs(frames[9].to_bgr().astype(int) - picture(9)).mean() < LOSSY


def test_an_untagged_clip_stays_untagged(tmp_path):
    copy(make_clip(tmp_path / "clip.mp4"), tmp_path / "out.mp4")
    source, _ = read(tmp_path / "out.mp4")
    assert (source.format.colour.matrix, source.format.colour.range) == (2, 0)


def test_a_turned_clip_is_recorded_upright(tmp_path):
    copy(make_clip(tmp_path / "clip.mp4", Clip(rotation=90, size=(160, 96))), tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        frame = next(container.decode(video=0))
    assert frame.rotation == 0
    upright = np.rot90(picture(0, (160, 96)))
    assert np.abs(frame.to_ndarray(format="bgr24").astype(int) - upright).mean() < LOSSY


def test_it_is_h264_for_every_player(tmp_path):
    copy(make_clip(tmp_path / "clip.mp4", Clip(frames=60)), tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264"
        assert stream.codec_context.pix_fmt == "yuv420p"
        keys = [packet.pts for packet in container.demux(stream) if packet.is_keyframe and packet.size]
    assert len(keys) == 3  # one a second


@pytest.mark.parametrize("size", [(161, 127), (160, 127), (161, 128)])
def test_odd_sizes_gain_a_repeated_line(tmp_path, size):
    clip = Clip(size=size, codec="ffv1", options={}, time_base=Fraction(1, 1000), frames=3)
    copy(make_clip(tmp_path / "odd.mkv", clip), tmp_path / "out.mp4")
    source, frames = read(tmp_path / "out.mp4")
    assert source.size == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    shown = frames[2].to_bgr().astype(int)
    assert np.abs(shown[: size[1], : size[0]] - picture(2, size)).mean() < LOSSY
    assert np.abs(shown[-1] - shown[size[1] - 1]).mean() < 2 * LOSSY
    assert np.abs(shown[:, -1] - shown[:, size[0] - 1]).mean() < 2 * LOSSY


def test_settings_choose_quality(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    copy(clip, tmp_path / "good.mp4", settings=EncoderSettings(crf=15))
    copy(clip, tmp_path / "poor.mp4", settings=EncoderSettings(crf=35, preset="veryfast"))
    assert (tmp_path / "good.mp4").stat().st_size > 2 * (tmp_path / "poor.mp4").stat().st_size


def test_the_decoders_frame_types_are_not_repeated(tmp_path):
    intra = make_clip(tmp_path / "intra.mp4", Clip(frames=50, options={"g": "1"}))
    copy(intra, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        keys = [packet for packet in container.demux(video=0) if packet.is_keyframe and packet.size]
    assert len(keys) == 2


@pytest.mark.parametrize("preset", ["ultrafast", "veryfast"])
def test_frames_reach_the_file_within_a_fragment(tmp_path, preset):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=60))
    settings = EncoderSettings(preset=preset)
    with open_source(clip) as source, VideoSink(tmp_path / "out.mp4", source, settings=settings) as sink:
        for frame in source:
            sink.write(frame)
        _, frames = read(tmp_path / "out.mp4")  # not closed yet
    assert [frame.pts_seconds for frame in frames] == [i / 25 for i in range(len(frames))]
    assert len(frames) > 60 - AT_RISK


def test_closing_twice_and_writing_nothing_leave_a_valid_file(tmp_path):
    with open_source(make_clip(tmp_path / "clip.mp4")) as source:
        sink = VideoSink(tmp_path / "out.mp4", source)
        sink.close()
        sink.close()
    with av.open(tmp_path / "out.mp4") as container:
        assert container.streams.video[0].codec_context.width == 160


# What must not happen to a recording, done to a process of its own.

RECORD = """
    import os, resource, signal, sys
    from pathlib import Path
    from rtpolyp.video.video_sink import VideoSink
    from rtpolyp.video.source import open_source
    from rtpolyp.errors import RtpolypError
    clip, out, limit, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        with open_source(clip) as source, VideoSink(out, source) as sink:
            for frame in source:
                sink.write(frame)
                if frame.index == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
    except RtpolypError as exc:
        print(exc)
        sys.exit(2)
"""


def record(clip: Path, out: Path, *, limit: int = 0, kill_at: int = -1):
    arguments = [str(clip), str(out), str(limit), str(kill_at)]
    code = textwrap.dedent(RECORD)
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    "sound",
    [{}, {"audio": "aac"}, {"audio": "aac", "audio_seconds": 1.0}, {"audio": "aac", "audio_start": 6.0}],
    ids=["silent", "sound", "sound ends early", "sound starts late"],
)
def test_kill_9_loses_less_than_a_second(tmp_path, sound):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=100, **sound))
    done = record(clip, tmp_path / "out.mp4", kill_at=90)
    assert done.returncode == -signal.SIGKILL
    _, frames = read(tmp_path / "out.mp4")
    assert len(frames) > 90 - AT_RISK
    assert [frame.pts_seconds for frame in frames] == [i / 25 for i in range(len(frames))]
    assert code_of(frames[-1].to_bgr()) == len(frames) - 1


def test_a_full_disk_fails_in_one_line_and_keeps_what_was_recorded(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=100))
    limit = 30_000
    done = record(clip, tmp_path / "out.mp4", limit=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith(f"{tmp_path / 'out.mp4'}: cannot be written (File too large) after ")
    assert done.stdout.count("\n") == 1
    assert (tmp_path / "out.mp4").stat().st_size == limit
    frames = []
    with open_source(tmp_path / "out.mp4") as source, pytest.raises(InputError, match="cut off"):
        frames.extend(source)
    said = int(done.stdout.partition(" after ")[2].split()[0])
    assert said - AT_RISK < len(frames) <= said


def test_a_disk_that_is_full_from_the_start_fails(tmp_path):
    out = tmp_path / "out.mp4"
    out.symlink_to("/dev/full")
    with (
        open_source(make_clip(tmp_path / "clip.mp4")) as source,
        pytest.raises(
            OutputError, match=r"out\.mp4: cannot be written \(No space left on device\); make room"
        ),
    ):
        VideoSink(out, source)


def test_a_missing_folder_fails(tmp_path):
    out = tmp_path / "none" / "out.mp4"
    with (
        open_source(make_clip(tmp_path / "clip.mp4")) as source,
        pytest.raises(OutputError, match=r"out\.mp4: no folder .*none; create it"),
    ):
        VideoSink(out, source)


def test_a_folder_as_output_fails(tmp_path):
    (tmp_path / "out.mp4").mkdir()
    with (
        open_source(make_clip(tmp_path / "clip.mp4")) as source,
        pytest.raises(OutputError, match=r"out\.mp4: is a folder"),
    ):
        VideoSink(tmp_path / "out.mp4", source)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_rights_fails(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4")
    (tmp_path / "locked").mkdir(mode=0o500)
    with open_source(clip) as source, pytest.raises(OutputError, match="Permission denied"):
        VideoSink(tmp_path / "locked" / "out.mp4", source)


def test_another_container_fails(tmp_path):
    with (
        open_source(make_clip(tmp_path / "clip.mp4")) as source,
        pytest.raises(OutputError, match=r"out\.avi: videos are written as MP4; name the file"),
    ):
        VideoSink(tmp_path / "out.avi", source)


def test_images_as_a_video_fail(tmp_path):
    from tests.runtime.video.test_images import write

    write(tmp_path / "1.png", picture(0))
    with open_source(tmp_path) as source, pytest.raises(OutputError, match="give a folder for them"):
        VideoSink(tmp_path / "out.mp4", source)


@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_the_source_itself_is_never_overwritten(tmp_path, link):
    clip = make_clip(tmp_path / "clip.mp4")
    before = clip.read_bytes()
    out = clip if link is None else tmp_path / "same.mp4"
    if link is not None:
        link(clip, out)
    with (
        open_source(clip) as source,
        pytest.raises(InputError, match="output and input are the same file; give another output"),
    ):
        VideoSink(out, source)
    assert clip.read_bytes() == before
