"""RawRecorder: the packets of a live source, copied into files that always play."""

import itertools
import logging
import os
import signal
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtpolyp.errors import OutputError, RtpolypError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.feed import Feed
from rtpolyp.video.live.live_stream import LiveStream
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.source import open_live, open_source
from tests.runtime.clips import Clip, code_of, make_clip

WITH_SOUND = InputOptions(audio=True)
B_FRAMES = {"preset": "medium", "bf": "3", "g": "25"}
MJPEG = Clip(frames=30, codec="mjpeg", pixel_format="yuvj420p", options={}, time_base=Fraction(1, 25))


def record(address: Path, out: Path, options: InputOptions | None = None):
    """Play `address` into a recording; the frames that were shown, and the recorder."""
    with open_live(address, options=options) as source, RawRecorder(out, source) as recorder:
        source.tap = recorder
        return list(source), recorder


def played(path: Path):
    with open_source(path) as source:
        return list(source)


@pytest.mark.parametrize("name", ["raw.mp4", "raw.mkv"])
@pytest.mark.parametrize("options", [B_FRAMES, {"preset": "ultrafast"}])
def test_a_recording_holds_the_very_frames_at_their_times(tmp_path, name, options):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=40, options=options, audio="aac"))
    shown, recorder = record(clip, tmp_path / name, WITH_SOUND)
    again = played(tmp_path / name)
    assert recorder.written == [tmp_path / name]
    assert recorder.lost_packets == 0
    assert len(again) == len(shown) == 40
    for late, early in zip(again, shown, strict=True):
        assert late.pts_seconds == pytest.approx(early.pts_seconds, abs=0.0006)  # Matroska counts in ms
        assert np.array_equal(late.luma(), early.luma())
    with open_source(tmp_path / name) as source:
        assert source.audio is not None
        assert source.duration_seconds is None or source.duration_seconds == pytest.approx(1.6, abs=0.1)


def test_sound_is_left_out_unless_wanted(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=10, audio="aac"))
    record(clip, tmp_path / "raw.mp4")
    with open_source(tmp_path / "raw.mp4") as source:
        assert source.audio is None


def test_sound_that_cannot_be_copied_is_left_out_with_a_warning(tmp_path, caplog):
    clip = make_clip(tmp_path / "clip.ts", Clip(frames=10, audio="aac"))  # without a header in MPEG-TS
    with caplog.at_level(logging.WARNING):
        record(clip, tmp_path / "raw.mp4", WITH_SOUND)
    assert "its aac sound cannot be copied and is left out" in caplog.text
    assert len(played(tmp_path / "raw.mp4")) == 10


def test_motion_jpeg_goes_into_matroska(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        _, recorder = record(make_clip(tmp_path / "clip.avi", MJPEG), tmp_path / "raw.mp4")
    assert "mjpeg does not play in MP4; recording raw.mkv" in caplog.text
    assert recorder.written == [tmp_path / "raw.mkv"]
    assert len(played(tmp_path / "raw.mkv")) == 30


def test_metadata_is_dropped(tmp_path):
    clip = tmp_path / "named.mp4"
    with av.open(clip, "w") as container, av.open(make_clip(tmp_path / "clip.mp4")) as source:
        container.metadata.update({"title": "Planted Name", "comment": "born 1950"})
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.metadata["handler_name"] = "Planted Name"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    assert b"Planted" in clip.read_bytes()
    for name in ("raw.mp4", "raw.mkv"):
        record(clip, tmp_path / name)
        data = (tmp_path / name).read_bytes()
        assert b"Planted" not in data
        assert b"born" not in data


def feed_of(*clips: Path) -> Feed:
    """A sender that breaks off after each clip and comes back with the next one."""
    left = list(clips)

    def open_input():
        return av.open(os.fspath(left.pop(0))) if left else av.open("missing")

    return Feed("sender", open_input, waits=True)


def record_all(clips: list[Path], out: Path, count: int) -> RawRecorder:
    with LiveStream(feed_of(*clips)) as source, RawRecorder(out, source) as recorder:
        source.tap = recorder
        for frame in source:
            if frame.index == count - 1:
                source.interrupt()
    return recorder


def test_after_a_loss_it_goes_on_in_the_same_file(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=20))
    recorder = record_all([clip, clip], tmp_path / "raw.mp4", 40)
    assert recorder.written == [tmp_path / "raw.mp4"]
    frames = played(tmp_path / "raw.mp4")
    assert [code_of(frame.to_bgr()) for frame in frames] == [*range(20), *range(20)]
    assert frames[20].pts_seconds - frames[19].pts_seconds >= 0.04


def test_other_parameters_after_a_loss_go_into_the_next_file(tmp_path):
    clips = [
        make_clip(tmp_path / "one.mp4", Clip(frames=20)),
        make_clip(tmp_path / "two.mp4", Clip(frames=15, size=(320, 240))),
        make_clip(
            tmp_path / "three.mp4", Clip(frames=10, options={"preset": "ultrafast", "profile": "high"})
        ),
    ]
    recorder = record_all(clips, tmp_path / "raw.mp4", 45)
    assert [path.name for path in recorder.written] == ["raw.mp4", "raw.2.mp4", "raw.3.mp4"]
    recorded = [played(path) for path in recorder.written]
    assert [len(frames) for frames in recorded] == [20, 15, 10]
    assert [frames[0].size for frames in recorded] == [(160, 128), (320, 240), (160, 128)]
    assert all(frames[0].pts_seconds < 0.2 for frames in recorded)


def test_it_starts_at_a_key_frame(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=50, options=B_FRAMES))

    class Late:
        """A tap that lets a recorder see the stream from its 11th packet on."""

        def __init__(self, recorder: RawRecorder) -> None:
            self.recorder, self.count = recorder, 0
            self.opened = recorder.opened

        def packet(self, packet) -> None:
            self.count += 1
            if self.count > 10:
                self.recorder.packet(packet)

    with open_live(clip) as source, RawRecorder(tmp_path / "raw.mp4", source) as recorder:
        source.tap = Late(recorder)
        shown = list(source)
    with open_source(tmp_path / "raw.mp4") as recording:
        frames = list(recording)
    first = code_of(frames[0].to_bgr())
    assert first == 25
    assert recording.start_seconds == pytest.approx(shown[first].pts_seconds, abs=1e-4)  # the frames' clock
    assert len(frames) == 25


SCRIPT = """
import logging, os, resource, signal, sys
from pathlib import Path
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.source import open_live
clip, out, limit, kill_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
logging.basicConfig()
if limit:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
with open_live(clip) as source, RawRecorder(out, source) as recorder:
    source.tap = recorder
    for frame in source:
        if frame.index == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
    print("shown", frame.index + 1)
"""


def run_script(clip: Path, out: Path, limit: int = 0, kill_at: int = -1):
    command = [sys.executable, "-c", SCRIPT, *map(str, (clip, out, limit, kill_at))]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", ["raw.mp4", "raw.mkv"])
def test_kill_9_loses_less_than_a_second(tmp_path, name):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=75, options=B_FRAMES))
    done = run_script(clip, tmp_path / name, kill_at=60)
    assert done.returncode == -signal.SIGKILL
    frames = played(tmp_path / name)
    assert len(frames) >= 60 - 25
    codes = [code_of(frame.to_bgr()) for frame in frames]
    assert codes[:-3] == list(range(len(frames) - 3))  # the last ones may lack the B-frames between them


@pytest.mark.parametrize("name", ["raw.mp4", "raw.mkv"])
def test_a_full_disk_ends_the_recording_and_not_the_stream(tmp_path, name):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=50))
    done = run_script(clip, tmp_path / name, limit=30_000)
    assert (done.returncode, done.stdout) == (0, "shown 50\n")
    (warning,) = [line for line in done.stderr.splitlines() if name in line]
    assert "cannot be written (File too large); the recording ends here and stays playable" in warning
    frames = played(tmp_path / name)  # to its last frame, without "cut off"
    assert 5 < len(frames) < 50
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(len(frames)))


def test_a_slow_disk_costs_packets_and_not_the_stream(tmp_path, monkeypatch):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=40, options={"preset": "ultrafast", "g": "5"}))
    monkeypatch.setattr("rtpolyp.video.raw.file_writer.LIMIT_BYTES", -1)
    shown, recorder = record(clip, tmp_path / "raw.mp4")
    assert len(shown) == 40
    assert recorder.lost_packets == 40


def test_a_disk_that_hangs_holds_up_no_picture(tmp_path, monkeypatch):
    hang = threading.Event()
    monkeypatch.setattr("rtpolyp.video.raw.file_writer.FileWriter._append", lambda *_: hang.wait())
    clips = [
        make_clip(tmp_path / "one.mp4", Clip(frames=20)),
        make_clip(tmp_path / "two.mp4", Clip(frames=20, size=(320, 240))),
    ]
    with LiveStream(feed_of(*clips)) as source, RawRecorder(tmp_path / "raw.mp4", source) as recorder:
        source.tap = recorder
        frames = list(itertools.islice(source, 40))  # into the second file, while the first one hangs
        hang.set()
    assert frames[20].captured_at - frames[19].captured_at < 1.0
    assert [path.name for path in recorder.written] == ["raw.mp4", "raw.2.mp4"]
    assert recorder.error is None  # it came back in time


def test_raw_video_fails(tmp_path):
    clip = make_clip(tmp_path / "clip.avi", Clip(codec="rawvideo", options={}, time_base=Fraction(1, 25)))
    with (
        open_live(clip) as source,
        pytest.raises(OutputError, match=r"raw\.mp4: .* uncompressed pictures, .* record the overlay"),
    ):
        RawRecorder(tmp_path / "raw.mp4", source)
    assert not (tmp_path / "raw.mp4").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [("raw.avi", r"name the file \*\.mp4 or \*\.mkv"), ("gone/raw.mp4", "no folder"), ("clip.mp4", "same")],
)
def test_a_bad_path_fails(tmp_path, name, message):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=5))
    with open_live(clip) as source, pytest.raises(RtpolypError, match=message):
        RawRecorder(tmp_path / name, source)
