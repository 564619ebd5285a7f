"""`rtpolyp run` on live sources, as a user calls it: what it writes, says and leaves behind."""

import json
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.video.source import open_source
from tests.runtime.live.rehearsal import gaps, played
from tests.runtime.red_disc import disc_clip
from tests.runtime.tiny_bundle import write_tiny_bundle

START_SECONDS = 90.0  # for what takes two seconds on a quiet machine
END_SECONDS = 2.0  # promised, from the signal to the end of everything
EXIT_SECONDS = 3.0  # for the summary and the interpreter's own end, on a busy machine
LAST_SECOND = 1.0  # what a recording may lack of a killed session's end: half a second is a fragment


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc.mp4", frames=40, rate=10)


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "long.mp4", frames=1200, rate=10)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path_factory.getbasetemp() / "calibration"))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)


def arguments(bundle: Path, *more: object) -> list[str]:
    return ["run", *map(str, more), "--engine", str(bundle), "--precision", "fp32"]


def test_a_file_played_live_writes_everything(bundle, clip, tmp_path, capsys):
    outputs = ["-o", "out.mp4", "--record-raw", "raw.mp4", "--json", "out.jsonl", "--log", "log.jsonl"]
    assert run_command_line(arguments(bundle, clip, "--latest", "--max-age", 1000, *outputs)) == 0
    said = capsys.readouterr().out
    assert re.search(r"\d+ frames shown in \d", said)
    assert "wrote out.mp4" in said
    with open_source(clip) as source:
        pts = [frame.pts_seconds for frame in source]
    assert played(tmp_path / "raw.mp4") == pytest.approx(pts, abs=0.001)
    assert played(tmp_path / "out.mp4")[-1] == pytest.approx(pts[-1], abs=0.3)
    header, *lines, _ = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert header["source"] == "disc.mp4"
    assert all(len(line["polyps"]) == 1 for line in lines)
    events = [json.loads(line)["event"] for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert (events[0], events[-1]) == ("start", "end")


def test_a_network_that_is_never_in_time_gives_way_to_the_fallback(bundle, tmp_path):
    """No result is younger than a millisecond; ONNX Runtime has no smaller inputs to try before."""
    clip = disc_clip(tmp_path / "disc.mp4", frames=100, rate=10)
    smaller = write_tiny_bundle(tmp_path / "smaller")
    options = ["--backend", "onnxruntime", "--max-age", 1, "--json", "out.jsonl", "--log", "log.jsonl"]
    assert run_command_line(arguments(bundle, clip, "--latest", *options, "--fallback-engine", smaller)) == 0
    events = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    states = [(event["state"], event["reason"]) for event in events if event["event"] == "ai"]
    assert states == [
        ("starting", "waiting for the first result"),
        ("on", ""),
        ("reduced", "network smaller"),
    ]


def test_standard_input_is_live(bundle, clip, tmp_path):
    stream = disc_clip(tmp_path / "disc.ts", frames=30, rate=10)
    command = [sys.executable, "-m", "rtpolyp", *arguments(bundle, "-", "-o", "out.mp4")]
    with stream.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 0, done.stderr
    assert "frames shown" in done.stdout


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "no window: there is no display .*; write a file instead, e.g. -o out.mp4"),
        (["--masks", "masks"], "--masks: a live source has none"),
        (["-o", "missing/out.mp4"], "out.mp4: no folder missing"),
        (["--json", "out.jsonl", "--metrics", "here"], "--metrics here: not an address"),
        (["--json", "out.jsonl", "--fallback-engine", "nowhere"], "nowhere: no such bundle"),
    ],
)
def test_what_cannot_work_fails_before_the_picture(bundle, clip, capsys, more, message):
    assert run_command_line(arguments(bundle, clip, "--latest", *more)) == 2
    assert re.search(message, capsys.readouterr().err)


def test_a_file_refuses_what_only_a_live_source_has(bundle, clip, capsys):
    assert run_command_line(arguments(bundle, clip, "--tone")) == 2
    assert "--tone is for live sources: leave it out, or play the file by --latest" in capsys.readouterr().err


def test_a_live_source_that_is_not_there_fails_in_one_line(bundle, capsys):
    address = "http://operator:hunter2@127.0.0.1:9/stream"
    assert run_command_line(arguments(bundle, address, "-o", "out.mp4")) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "hunter2" not in said
    assert "operator" not in said


@pytest.fixture
def running(bundle, long_clip, tmp_path):
    """A session that records, a few seconds after its first picture."""
    outputs = ["-o", "out.mp4", "--record-raw", "raw.mp4", "--json", "out.jsonl"]
    process = subprocess.Popen(
        [sys.executable, "-m", "rtpolyp", *arguments(bundle, long_clip, "--latest", *outputs)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a shell starts background jobs, this test's perhaps, with SIGINT ignored, and children inherit that
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        deadline, results = time.monotonic() + START_SECONDS, tmp_path / "out.jsonl"
        while not (results.exists() and results.read_bytes().count(b"\n") > 5):
            assert time.monotonic() < deadline
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.first_result_at = time.monotonic()
        time.sleep(2.0)
        yield process
    finally:
        process.kill()
        process.communicate()


def assert_it_plays(path: Path, process: subprocess.Popen, until: float) -> None:
    pts = played(path)
    assert pts[-1] - pts[0] >= until - process.first_result_at - LAST_SECOND
    assert max(gaps(pts)) <= 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_in_order(running, tmp_path, number):
    at = time.monotonic()
    running.send_signal(number)
    said, errors = running.communicate(timeout=END_SECONDS + EXIT_SECONDS)
    assert running.returncode == 130, errors
    assert "frames shown" in said
    assert_it_plays(tmp_path / "out.mp4", running, at)
    assert_it_plays(tmp_path / "raw.mp4", running, at)


def test_a_killed_session_leaves_recordings_that_play_and_nothing_else(running, tmp_path):
    engines = psutil.Process(running.pid).children(recursive=True)
    assert engines
    at = time.monotonic()
    running.kill()
    running.communicate()
    _, alive = psutil.wait_procs(engines, timeout=5)
    assert not alive
    assert_it_plays(tmp_path / "out.mp4", running, at)
    assert_it_plays(tmp_path / "raw.mp4", running, at)
