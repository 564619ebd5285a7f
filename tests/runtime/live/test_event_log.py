import json
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from rtpolyp.errors import OutputError
from rtpolyp.live import event_log
from rtpolyp.live.event_log import EventLog


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_event_is_one_line_with_both_clocks(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    before = time.monotonic()
    with EventLog(path) as log:
        log.write("outage", reason="cable", seconds=1.5)
        log.write("quit")
    outage, quitting = lines_of(path)
    assert (outage["event"], outage["reason"], outage["seconds"]) == ("outage", "cable", 1.5)
    assert quitting["event"] == "quit"
    assert before - 0.001 <= outage["monotonic"] <= time.monotonic()
    written = datetime.fromisoformat(str(outage["time"]).replace("Z", "+00:00"))
    assert abs((datetime.now(UTC) - written).total_seconds()) < 60


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    for number in range(2):
        with EventLog(path) as log:
            log.write("start", number=number)
    assert [line["number"] for line in lines_of(path)] == [0, 1]


def test_lines_from_many_threads_stay_whole(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    with EventLog(path) as log:
        threads = [
            threading.Thread(target=lambda: [log.write("tick", text="x" * 500) for _ in range(20)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(lines_of(path)) == 160


def test_credentials_are_hidden(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    with EventLog(path) as log:
        log.write("outage", reason="rtsp://admin:hunter2@cam/live?token=hunter2: timed out")
    assert "hunter2" not in path.read_text()
    assert "cam/live" in path.read_text()


def test_a_path_that_cannot_be_written_fails(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"cannot be written .*; give another path"):
        EventLog(tmp_path / "missing" / "session.log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_ends_the_log_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    with EventLog("/dev/full") as log:
        for _ in range(5):
            log.write("tick")
    (record,) = caplog.records
    assert "No space left on device" in record.getMessage()
    assert "the session goes on" in record.getMessage()


def test_a_disk_that_fills_up_keeps_whole_lines(tmp_path: Path) -> None:
    """In a process of its own, whose files may not grow past a size: a write is taken in part, then none."""
    path = tmp_path / "session.log"
    script = f"""
import resource, signal
from rtpolyp.live import event_log
from rtpolyp.live.event_log import EventLog
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
with EventLog({str(path)!r}) as log:
    for number in range(30):
        log.write("tick", number=number)
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    numbers = [line["number"] for line in lines_of(path)]
    assert 3 < len(numbers) < 30
    assert numbers == list(range(len(numbers)))
    assert ended.stderr.count("the log ends here") == 1


def test_a_killed_session_leaves_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "session.log"
    script = f"""
import time
from rtpolyp.live import event_log
from rtpolyp.live.event_log import EventLog
log = EventLog({str(path)!r})
print("ready", flush=True)
while True:
    log.write("tick", text="x" * 300)
    time.sleep(0.0005)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        deadline = time.monotonic() + 20
        while path.stat().st_size < 10_000 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert len(lines_of(path)) > 20


def test_a_disk_that_hangs_holds_nobody_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)  # and never reads: the pipe's buffer fills up
    try:
        log = EventLog(pipe)
        begun = time.perf_counter()
        for _ in range(1000):
            log.write("tick", text="x" * 500)
        assert time.perf_counter() - begun < 1
        log.close()
        assert time.perf_counter() - begun < 3
        assert caplog.text.count("the log ends here") == 1
    finally:
        os.close(reader)


def test_a_stuck_disk_leaves_events_out_and_counts_them(tmp_path: Path, monkeypatch, caplog) -> None:
    monkeypatch.setattr(event_log, "WAITING", 5)
    path = tmp_path / "session.log"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = EventLog(path)
    for number in range(300):
        log.write("tick", number=number, text="x" * 1000)
    os.set_blocking(reading, True)
    with os.fdopen(reading, "rb") as reader:
        numbers, left_out = [], 0
        while len(numbers) + left_out < 300:  # each event is written or counted, in whatever turn
            line = json.loads(reader.readline())
            if line["event"] == "tick":
                numbers.append(line["number"])
            else:
                left_out += line["events"]
        log.close()
    assert numbers == sorted(set(numbers))
    assert len(numbers) + left_out == 300
    assert left_out > 200  # a pipe holds 64 KiB, and five wait
    assert any("leaving events out" in record.getMessage() for record in caplog.records)
