"""ThreadedSink over real encoders, and over sinks that fail in every way."""

import contextlib
import resource
import threading
import time
from fractions import Fraction

import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.live.threaded_sink import ThreadedSink, short_reason
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import code_of, frame_of, picture

AT_ONCE = 0.02  # seconds that `write` may take on a busy machine; it only queues


class BrokenSink:
    """Raises at a frame, or blocks until released."""

    def __init__(self, *, fail_at=None, block_at=None):
        self.fail_at, self.block_at = fail_at, block_at
        self.frames, self.closed, self.released = [], 0, threading.Event()

    def write(self, frame, segmentation):
        if frame.index == self.fail_at:
            raise ValueError("a bug")
        if frame.index == self.block_at:
            self.released.wait(20)
        self.frames.append(frame.index)

    def close(self):
        self.closed += 1


@pytest.fixture
def telemetry():
    return Telemetry()


def frames(count, start=0):
    return [frame_of(picture(index), index=index) for index in range(start, start + count)]


def video_sink(path):
    return VideoSink(path, ArraySource([], (160, 128), Fraction(25)))


def indices(path):
    """What plays, up to where the file was cut off."""
    played = []
    with open_source(path) as source, contextlib.suppress(InputError):
        played.extend(code_of(frame.to_bgr()) for frame in source)
    return played


@contextlib.contextmanager
def file_size_limit(size):
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_everything_is_written_in_order(tmp_path, telemetry):
    with ThreadedSink("out", video_sink(tmp_path / "out.mp4"), 50, telemetry) as threaded:
        for frame in frames(40):
            threaded.write(frame, None)
    assert indices(tmp_path / "out.mp4") == list(range(40))
    assert threaded.error is None
    assert telemetry.counts()["recording_frames_dropped"] == 0


def test_a_frame_that_is_shown_again_is_written_once(telemetry):
    sink, (first, second) = BrokenSink(), frames(2)
    with ThreadedSink("out", sink, 50, telemetry) as threaded:
        for frame in (first, first, second, first):
            threaded.write(frame, None)
    assert sink.frames == [0, 1]


def test_a_slow_disk_drops_frames_and_holds_nobody_up(caplog, telemetry):
    sink = BrokenSink(block_at=0)
    with ThreadedSink("out.mp4", sink, 5, telemetry) as threaded:
        begun = time.monotonic()
        for frame in frames(50):
            threaded.write(frame, None)
        assert time.monotonic() - begun < 50 * AT_ONCE
        sink.released.set()
    assert threaded.error is None
    dropped = telemetry.counts()["recording_frames_dropped"]
    assert len(sink.frames) + dropped == 50
    assert dropped >= 44  # five queued, one being written
    assert [record.message for record in caplog.records] == [
        "out.mp4: its disk or encoder is too slow; leaving frames out"
    ]


def test_a_raising_sink_closes_itself_only(caplog, telemetry):
    sink = BrokenSink(fail_at=3)
    with ThreadedSink("out", sink, 50, telemetry) as threaded:
        for frame in frames(10):
            threaded.write(frame, None)
    assert (sink.frames, sink.closed) == ([0, 1, 2], 1)
    assert isinstance(threaded.error, OutputError)
    assert telemetry.counts()["recordings_failed"] == 1
    assert "a bug" in str(threaded.error)
    assert short_reason(threaded.error) == "cannot be written"
    assert "Traceback" in caplog.text  # of a bug, the log says where


def test_a_full_disk_keeps_what_was_written(tmp_path, telemetry):
    path = tmp_path / "out.mp4"
    with file_size_limit(60_000), ThreadedSink("out", video_sink(path), 500, telemetry) as threaded:
        for frame in frames(300):
            threaded.write(frame, None)
    assert "out.mp4: cannot be written" in str(threaded.error)
    assert short_reason(threaded.error) == "file too large"
    kept = indices(path)
    assert len(kept) >= 12  # half a second, the first fragment
    assert kept == list(range(len(kept)))


def test_the_reason_of_a_full_disk_is_said_in_two_words():
    try:
        with open("/dev/full", "wb", buffering=0) as file:
            file.write(b"x")
    except OSError as exc:
        error = OutputError("out.mp4: cannot be written")
        error.__cause__ = exc
    assert short_reason(error) == "disk full"
    assert short_reason(OutputError("bad")) == "cannot be written"


def test_a_disk_that_never_answers_is_given_up(tmp_path, telemetry):
    sink = BrokenSink(block_at=0)
    threaded = ThreadedSink("out.mp4", sink, 5, telemetry)
    threaded.write(*frames(1), None)
    begun = time.monotonic()
    threaded.close(timeout=0.2)
    assert time.monotonic() - begun < 1
    assert "out.mp4: not finished in 0.2 s" in str(threaded.error)
    sink.released.set()
