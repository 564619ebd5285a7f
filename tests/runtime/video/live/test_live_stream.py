"""LiveStream: losses of every kind, injected; and files at their own pace."""

import errno
import itertools
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.camera import feed_of_camera
from rtpolyp.video.live.feed import Feed, feed_of_file
from rtpolyp.video.live.live_stream import LiveStream
from rtpolyp.video.source import open_live, open_source
from tests.runtime.clips import Clip, code_of, make_clip

QUICK = InputOptions(stall_seconds=0.4, open_seconds=1.0)


class Device:
    """A container as a camera's driver gives it: `count` packets at 25 fps, then what `after` does."""

    def __init__(self, path: Path, count: int, after) -> None:
        self._container, self._count, self._after = av.open(os.fspath(path)), count, after
        self.streams, self.format, self.duration = self._container.streams, self._container.format, None

    def demux(self, *streams):
        for packet in itertools.islice(self._container.demux(*streams), self._count):
            time.sleep(0.04)
            yield packet
        yield from self._after() or ()

    def junk(self):
        """Packets that no decoder takes, for a second, and then the clip again."""
        stream = self.streams.video[0]
        for number in range(25):
            packet = av.Packet(b"\xff" * 100)
            packet.stream, packet.time_base = stream, stream.time_base
            packet.pts = packet.dts = 512 * (self._count + number)
            time.sleep(0.04)
            yield packet
        self._container.seek(0)
        for packet in self._container.demux(stream):
            time.sleep(0.04)
            yield packet

    def close(self) -> None:
        self._container.close()


def unplug() -> None:
    raise OSError(errno.ENODEV, "No such device")


def feed_of(*openings, **traits) -> Feed:
    """A feed that is opened by one of `openings` after the other, and by the last one for ever."""
    left = list(openings)
    return Feed("camera", lambda: (left.pop(0) if len(left) > 1 else left[0])(), **traits)


def absent():
    raise FileNotFoundError(errno.ENOENT, "No such file or directory")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", Clip(frames=20, audio="aac"))


def test_a_camera_unplugged_and_back(clip, caplog):
    feed = feed_of(
        lambda: Device(clip, 10, unplug), absent, lambda: Device(clip, 99, lambda: time.sleep(30)), waits=True
    )
    reasons = set()
    with caplog.at_level(logging.WARNING), LiveStream(feed) as source:

        def watch() -> None:
            while not over.wait(0.01):
                if source.outage is not None:
                    reasons.add(source.outage.reason)

        over = threading.Event()
        watcher = threading.Thread(target=watch)
        watcher.start()
        frames = []
        for frame in source:
            frames.append(frame)
            if len(frames) == 30:
                source.interrupt()
        over.set()
        watcher.join()
        assert source.losses.outages == 1
    assert reasons == {"device gone", "no such device"}
    assert [code_of(frame.to_bgr()) for frame in frames] == [*range(10), *range(20)]
    gap = frames[10].pts_seconds - frames[9].pts_seconds
    assert gap == pytest.approx(0.25 + 0.5, abs=0.4)  # two delays, by the wall clock
    assert [record.message for record in caplog.records] == [
        "camera: device gone; waiting for it to come back"
    ]


def test_a_camera_that_is_not_there_fails():
    with pytest.raises(InputError, match=r"/dev/video77: no such device; (give one of|plug one in)"):
        open_source("77")
    with pytest.raises(InputError, match=r"/dev/video78: no such device"):
        open_source("/dev/video78", options=InputOptions(input_format="mjpeg", video_size="1920x1080"))


def test_a_camera_is_asked_for_what_the_user_wants(monkeypatch):
    asked = {}
    monkeypatch.setattr(av, "open", lambda *address, **how: asked.update(how, address=address))
    feed_of_camera("2", InputOptions("mjpeg", "1280x720", "30")).open()
    assert asked["address"] == ("/dev/video2", "r")
    assert asked["format"] == "video4linux2,v4l2"
    assert asked["options"] == {"input_format": "mjpeg", "video_size": "1280x720", "framerate": "30"}


def test_a_size_that_a_camera_has_not_fails():
    def refuse():
        raise OSError(errno.EINVAL, "Invalid argument")

    with pytest.raises(InputError, match="not offered by it; choose an input format, video size"):
        LiveStream(feed_of(refuse))


def test_a_driver_that_hangs_is_left_behind(clip):
    hang = threading.Event()
    feed = feed_of(lambda: Device(clip, 10, hang.wait), lambda: Device(clip, 99, hang.wait), waits=True)
    with LiveStream(feed, QUICK) as source:
        stream = iter(source)
        frames = list(itertools.islice(stream, 30))
        assert source.losses.outages == 1
        threading.Timer(0.2, source.interrupt).start()
        began = time.monotonic()
        assert list(stream) == []
        assert time.monotonic() - began < 1.2
    assert code_of(frames[10].to_bgr()) == 0
    hang.set()


def test_interrupt_while_the_input_is_opened_again(clip):
    hang, told = threading.Event(), []

    def hung():
        hang.wait()
        absent()

    feed = feed_of(lambda: Device(clip, 10, unplug), hung, waits=True)
    with LiveStream(feed) as source:
        source.tap = SimpleNamespace(opened=lambda *_: told.append("opened"), packet=lambda _: None)
        threading.Timer(1.2, source.interrupt).start()
        assert len(list(source)) == 10
    assert told == ["opened"]
    hang.set()


def test_another_size_after_a_loss_is_scaled_into_the_first(clip, tmp_path):
    small = make_clip(tmp_path / "small.mp4", Clip(frames=20, size=(120, 96), matrix=1, colour_range=1))
    feed = feed_of(lambda: Device(clip, 10, unplug), lambda: Device(small, 99, unplug), waits=True)
    with LiveStream(feed) as source:
        frames = list(itertools.islice(source, 25))
    assert {frame.size for frame in frames} == {(160, 128)}
    assert [code_of(frame.to_bgr()) for frame in frames] == [*range(10), *range(15)]
    assert {frame.colour for frame in frames} == {source.format.colour}
    seen = frames[5].to_bgr().astype(int) - frames[15].to_bgr()
    assert abs(seen).mean() < 4.0  # the same picture in the same colours; 3 levels are its edges


def test_a_first_picture_that_never_comes_fails(clip):
    feed = feed_of(lambda: Device(clip, 0, lambda: time.sleep(3)))
    with pytest.raises(InputError, match=r"camera: no (picture|data)"):
        LiveStream(feed, QUICK)


def test_a_bug_is_no_outage(clip):
    def bug() -> None:
        raise ZeroDivisionError("a bug")

    with LiveStream(feed_of(lambda: Device(clip, 10, bug))) as source, pytest.raises(ZeroDivisionError):
        list(source)


def test_a_decoder_that_is_behind_leaps_to_the_newest_key_frame(tmp_path):
    path = make_clip(tmp_path / "keys.mp4", Clip(frames=60, options={"preset": "ultrafast", "g": "10"}))
    feed = feed_of(lambda: av.open(os.fspath(path)))  # all at once, and not waited for
    with LiveStream(feed) as source:
        time.sleep(0.8)  # as an engine does that is still loading
        frames = list(itertools.islice(source, 10))
        assert source.losses.skipped_packets == 49
    assert [code_of(frame.to_bgr()) for frame in frames] == [0, *range(50, 59)]


def test_packets_that_cannot_be_decoded_are_counted_and_an_outage(clip, caplog):
    device = Device(clip, 10, lambda: device.junk())
    with caplog.at_level(logging.WARNING), LiveStream(feed_of(lambda: device, waits=True), QUICK) as source:
        outages = []
        threading.Timer(1.3, lambda: outages.append(source.outage)).start()
        frames = list(itertools.islice(source, 20))
        assert source.losses.corrupt_packets == 25
        assert source.losses.outages == 1
        assert source.outage is None
    assert outages[0].reason == "nothing that can be decoded"
    assert [code_of(frame.to_bgr()) for frame in frames] == [*range(10), *range(10)]
    assert len([record for record in caplog.records if "damaged packets" in record.message]) == 1


def test_a_file_at_its_own_pace(clip):
    with open_live(clip) as source:
        frames = list(source)
        assert (source.path, source.name) == (clip, "clip.mp4")
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(20))
    assert [frame.pts for frame in frames] == [3600 * i for i in range(20)]
    took = frames[-1].captured_at - frames[0].captured_at
    assert took == pytest.approx(19 / 25, abs=0.1)


def test_a_file_again_and_again(clip):
    with open_live(clip, repeat=True) as source:
        frames = list(itertools.islice(source, 45))
        assert source.losses.outages == 0
    assert [code_of(frame.to_bgr()) for frame in frames] == [*range(20), *range(20), *range(5)]
    steps = [late.pts - early.pts for early, late in itertools.pairwise(frames)]
    assert min(steps) > 0
    assert max(steps) < 2 * 3600  # no hitch where it begins anew
    assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(44 / 25, abs=0.3)


def test_interrupt_ends_a_file_at_once(clip):
    with open_live(clip, repeat=True) as source:
        threading.Timer(0.3, source.interrupt).start()
        began = time.monotonic()
        assert list(source)
        assert time.monotonic() - began < 1.3


def test_images_have_no_pace_fails(tmp_path):
    with pytest.raises(InputError, match="images have no pace of their own; give a video"):
        open_live(tmp_path)


def test_a_file_that_is_no_video_fails(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("hello\n" * 500)
    with pytest.raises(InputError, match=r"text\.mp4: no video that can be read"):
        LiveStream(feed_of_file(path, InputOptions()))


def test_standard_input(tmp_path):
    path = make_clip(tmp_path / "clip.ts", Clip(frames=30))
    code = (
        "from rtpolyp.video.source import open_source\n"
        "with open_source('-') as source: print(source.name, source.codec, len(list(source)))"
    )
    with path.open("rb") as stream:
        done = subprocess.run(
            [sys.executable, "-c", code], stdin=stream, capture_output=True, text=True, check=True
        )
    assert done.stdout == "standard input h264 30\n"


def test_a_tap_sees_every_packet_on_the_clock_of_the_frames(clip):
    class Tap:
        def __init__(self) -> None:
            self.video, self.audio, self.opened_streams = [], [], []

        def opened(self, video, audio, zero) -> None:
            self.opened_streams.append((video.codec.name, audio and audio.codec.name))

        def packet(self, packet) -> None:
            getattr(self, packet.stream.type).append(packet.pts)

    taps = {}
    for wanted in (True, False):
        with LiveStream(feed_of_file(clip, InputOptions()), InputOptions(audio=wanted)) as source:
            source.tap = taps[wanted] = Tap()
            pts = [frame.pts for frame in source]
    assert taps[True].video == taps[False].video == pts
    assert len(taps[True].audio) > 30
    assert taps[False].audio == []
    assert taps[True].opened_streams == [("h264", "aac")]
    assert taps[False].opened_streams == [("h264", None)]
