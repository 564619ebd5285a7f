"""Streams from the network, by real protocols on loopback."""

import itertools
import logging
import threading
import time
import traceback
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.raw.recorder import RawRecorder
from rtpolyp.video.source import open_live, open_source
from scripts.live.proxy import Proxy
from tests.runtime.clips import Clip, code_of, make_clip
from tests.runtime.video.senders import (
    http_sender,
    http_url,
    rtsp_sender,
    tcp_sender,
    udp_sender,
)

SECONDS = 2.0
QUICK = InputOptions(stall_seconds=0.6, open_seconds=8.0)
LATE = 1.2  # seconds a live frame may take beyond its pts, on a machine with other work


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    options = {"preset": "ultrafast", "g": "10"}
    return make_clip(tmp_path_factory.mktemp("clip") / "clip.ts", Clip(frames=50, options=options))


def watch(source, count: int):
    """`count` frames, and the source's outages among them; pts and codes must go on."""
    frames, outages = [], []
    began = time.monotonic()
    for frame in source:
        frames.append(frame)
        if source.losses.outages > len(outages):
            outages.append(frame)
        if len(frames) == count or time.monotonic() - began > 20:
            source.interrupt()
    assert len(frames) == count
    assert all(late.pts > early.pts for early, late in itertools.pairwise(frames))
    assert [frame.index for frame in frames] == list(range(count))
    return frames, outages


def is_in_order(frames) -> bool:
    """Whether each frame shows the picture after the one before, in a clip of 50 that repeats."""
    codes = [code_of(frame.to_bgr()) for frame in frames]
    return all((late - early) % 50 == 1 for early, late in itertools.pairwise(codes))


def test_http_live(clip):
    with http_sender(clip, SECONDS) as port, open_source(http_url(port)) as source:
        assert (source.codec, source.size, source.frame_rate) == ("h264", (160, 128), 25)
        frames, outages = watch(source, 70)  # the clip and its repetition, whose clock starts anew
    assert is_in_order(frames)
    assert not outages
    assert frames[0].pts == 0
    assert frames[49].pts_seconds == pytest.approx(1.96, abs=0.05)
    lags = [frame.captured_at - frame.pts_seconds for frame in frames[25:]]
    assert max(lags) - min(lags) < LATE  # they come as they were sent, and do not pile up


def test_http_of_a_recording_ends_and_keeps_its_pace(clip):
    with http_sender(clip, SECONDS, length=True) as port, open_source(http_url(port)) as source:
        frames = list(source)
        assert source.outage is None
    assert is_in_order(frames)
    assert len(frames) == 50
    assert frames[-1].captured_at - frames[0].captured_at == pytest.approx(1.96, abs=0.2)


def test_tcp_and_a_cut_of_two_seconds(clip, caplog):
    with (
        caplog.at_level(logging.WARNING),
        tcp_sender(clip, SECONDS) as port,
        Proxy(port) as proxy,
        open_source(f"tcp://127.0.0.1:{proxy.port}", options=QUICK) as source,
    ):
        timers = [threading.Timer(0.8, proxy.cut), threading.Timer(2.8, proxy.restore)]
        for timer in timers:
            timer.start()
        seen = []
        threading.Timer(2.0, lambda: seen.append(source.outage)).start()
        frames, outages = watch(source, 50)
        assert source.outage is None
        for timer in timers:
            timer.join()
    (back,) = outages
    before = frames[back.index - 1]
    assert seen[0].reason in ("connection refused", "ended by the sender", "connection lost")
    assert seen[0].since < back.captured_at
    assert 1.8 < back.captured_at - before.captured_at < 6.0  # two seconds, the delay, and a key frame
    gap = back.pts_seconds - before.pts_seconds
    assert gap == pytest.approx(back.captured_at - before.captured_at, abs=1.0)  # by the wall clock
    assert len([record for record in caplog.records if "waiting for it" in record.message]) == 1


def test_a_sender_that_falls_silent_is_an_outage_and_interrupt_ends_it(clip):
    silence = threading.Event()
    with (
        tcp_sender(clip, SECONDS, silence) as port,
        open_source(f"tcp://127.0.0.1:{port}", options=QUICK) as source,
    ):
        threading.Timer(0.5, silence.set).start()
        outages = []

        def interrupt() -> None:
            outages.append((source.outage, time.monotonic()))
            source.interrupt()

        threading.Timer(2.0, interrupt).start()
        frames = list(source)
        ended = time.monotonic()
    ((outage, interrupted),) = outages
    assert frames
    assert outage is not None
    assert ended - interrupted < 1.0


def test_udp(clip):
    with (
        udp_sender(clip, SECONDS) as port,
        open_source(f"udp://127.0.0.1:{port}", options=QUICK) as source,
    ):
        frames, _ = watch(source, 30)
    assert is_in_order(frames[5:])


def test_rtsp(tmp_path):
    with rtsp_sender(tmp_path) as server, open_source(server.address, options=QUICK) as source:
        assert (source.codec, source.size, source.frame_rate) == ("h264", (160, 128), 25)
        frames, outages = watch(source, 50)
    codes = [code_of(frame.to_bgr()) for frame in frames]
    assert all((late - early) % 75 == 1 for early, late in itertools.pairwise(codes))
    assert not outages


def test_rtsp_through_a_cut(tmp_path):
    with rtsp_sender(tmp_path) as server, Proxy(server.port) as proxy:
        with open_source(f"rtsp://127.0.0.1:{proxy.port}/stream", options=QUICK) as source:
            threading.Timer(0.5, proxy.cut).start()
            threading.Timer(1.5, proxy.restore).start()
            _, outages = watch(source, 60)
            assert len(outages) == 1
        time.sleep(0.1)  # the restoring timer has ended


def test_rtsp_with_a_wrong_password_fails(tmp_path):
    with rtsp_sender(tmp_path, "--user", "nurse", "--password", "right") as server:
        wrong = server.address.replace("//", "//nurse:planted-secret@")
        with pytest.raises(InputError, match=r"rtsp://\*\*\*@127.* refused \(401\); give SCHEME") as caught:
            open_source(wrong)
        assert "planted" not in str(caught.value)
        with open_source(server.address.replace("//", "//nurse:right@")) as source:
            assert source.name == server.address.replace("//", "//***@")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("rtsp://nurse:planted@127.0.0.1:9/a", r"rtsp://\*\*\*@127.0.0.1:9/a: connection refused; check"),
        ("http://127.0.0.1:9/a?token=planted", r"http://127.0.0.1:9/a\?token=\*\*\*: connection refused"),
        ("rtmp://nurse:planted@127.0.0.1:9/a/b", "connection refused"),
        ("rtsp://nurse:planted@no.such.host.invalid/a", "no host of that name; check"),
        ("rtps://nurse:planted@127.0.0.1/a", "such addresses are not read; send by rtsp"),
        ("rtsp:nurse:planted@127.0.0.1", r"rtsp:\*\*\*@127.0.0.1: no such file"),
        ("udp://127.0.0.1:9100?key=planted", "no answer; check"),
    ],
)
def test_what_cannot_be_opened_fails_without_its_credentials(address, message):
    with pytest.raises(InputError, match=message) as caught:
        open_source(address, options=InputOptions(open_seconds=0.5))
    assert "planted" not in "".join(traceback.format_exception(caught.value))
    assert "\n" not in str(caught.value)


def test_http_with_a_planted_password_never_tells_it(clip, caplog, tmp_path):
    user = "nurse:planted-secret"
    with (
        caplog.at_level(logging.DEBUG),
        http_sender(clip, SECONDS, user=user) as port,
        open_live(http_url(port, user), options=QUICK) as source,
        RawRecorder(tmp_path / "raw.mp4", source) as recorder,
    ):
        source.tap = recorder
        frames, _ = watch(source, 5)
        told = [source.name, source.codec, *map(repr, (source.format, frames[0], source.losses))]
    told += [caplog.text, (tmp_path / "raw.mp4").read_bytes().decode("latin-1")]
    assert not any("planted" in text or "nurse" in text for text in told)
    with http_sender(clip, SECONDS, user=user) as port, pytest.raises(InputError, match=r"refused \(401\)"):
        open_live(http_url(port, "nurse:wrong"))


def test_what_is_no_video_fails(tmp_path):
    (tmp_path / "page.html").write_text("<html>" + "text " * 2000)
    with (
        http_sender(tmp_path / "page.html", 1.0, length=True) as port,
        pytest.raises(InputError, match="no video that can be read; send"),
    ):
        open_live(http_url(port))
