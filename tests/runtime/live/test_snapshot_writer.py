import dataclasses
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.errors import OutputError
from rtpolyp.imaging import onscreen
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.live import snapshot_writer
from rtpolyp.live.annotate import annotate
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.live.snapshot_writer import SnapshotWriter
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.json_sink import JsonSink
from tests.runtime.clips import frame_of

SIZE = 640, 480
SETTINGS = Settings(0.43, 0.001, 0.6)
NO_ALERT = Alert(active=False, started=False, track=None, since_seconds=None)
HEADER = {"rtpolyp": "0.1.0", "source": "camera 0", "engine": "tiny", "backend": "stub", "sha256": {}}
NAME = re.compile(r"\d{8}T\d{6}\.\d{3}Z-000123")


@pytest.fixture
def frame() -> Frame:
    bgr = np.full((SIZE[1], SIZE[0], 3), (90, 110, 190), np.uint8)
    return frame_of(bgr, index=123)


@pytest.fixture
def found() -> FrameAnalysis:
    corners = np.array([(300, 200), (400, 200), (400, 300), (300, 300)], np.float32)
    polyp = Polyp(Rect(300, 200, 100, 100), 10_000.0, 0.91, corners, track=4, frame_size=SIZE)
    view = make_view(SIZE, (64, 64))
    segmentation = Segmentation(121, 4.84, (polyp,), np.zeros((64, 64), np.uint8), view, 0.43)
    return FrameAnalysis(segmentation, NO_ALERT, (), "clear", captured_at=0.0, latency_seconds=0.02)


@pytest.fixture
def blocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A disk that answers only once the event is set."""
    release, write = threading.Event(), snapshot_writer._write_png

    def wait(path: Path, frame: Frame) -> None:
        release.wait(20)
        write(path, frame)

    monkeypatch.setattr(snapshot_writer, "_write_png", wait)
    yield release
    release.set()


def read(folder: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8], dict[str, object]]:
    assert sorted(path.name for path in folder.iterdir()) == [
        "overlay.png",
        "raw.png",
        "snapshot.json",
    ]
    raw, overlay = (cv2.imread(str(folder / name)) for name in ("raw.png", "overlay.png"))
    return raw, overlay, json.loads((folder / "snapshot.json").read_text())


def test_a_snapshot_is_the_picture_the_overlay_and_what_was_found(
    tmp_path: Path, frame: Frame, found: FrameAnalysis
) -> None:
    with SnapshotWriter(tmp_path / "new" / "shots", HEADER) as writer:
        writer.take(frame, found, SETTINGS, [onscreen.ai_reduced("every 2nd frame")])
    assert (writer.written, writer.failed) == (1, 0)
    (folder,) = (tmp_path / "new" / "shots").iterdir()
    assert NAME.fullmatch(folder.name)
    assert folder.stat().st_mode & 0o777 == 0o755
    raw, overlay, values = read(folder)
    assert np.array_equal(raw, frame.to_bgr())
    changed = (raw != overlay).any(axis=2)
    assert changed[198:203, 320:380].all()  # the outline
    assert changed[430:, :200].mean() > 0.1  # the badge
    assert not changed[:150].any()
    assert values["settings"] == dataclasses.asdict(SETTINGS)
    assert values["engine"] == "tiny"
    assert values["rtpolyp"] == "0.1.0"
    assert (values["index"], values["pts"], values["pts_seconds"]) == (123, 123, 4.92)
    assert values["analysed"] == {"index": 121, "pts_seconds": 4.84, "threshold": 0.43}
    assert values["badges"] == ["AI REDUCED every 2nd frame"]


def test_the_overlay_is_what_the_screen_shows(tmp_path: Path, frame: Frame, found: FrameAnalysis) -> None:
    left = dataclasses.replace(found, exits=((639.0, 240.0),))
    badges = [onscreen.polyp_alert(4)]
    with SnapshotWriter(tmp_path, HEADER) as writer:
        writer.take(frame, left, SETTINGS, badges)
    raw, overlay, _ = read(next(tmp_path.iterdir()))
    assert np.array_equal(overlay, annotate(frame, left, SETTINGS, badges).to_bgr())
    assert (raw != overlay)[230:250, 600:].any()  # the arrow


def test_polyps_are_written_as_json_lines_hold_them(
    tmp_path: Path, frame: Frame, found: FrameAnalysis
) -> None:
    with SnapshotWriter(tmp_path / "shots", HEADER) as writer:
        writer.take(frame, found, SETTINGS)
    with JsonSink(tmp_path / "lines.jsonl", HEADER) as sink:
        sink.write(frame, found.segmentation)
    line = json.loads((tmp_path / "lines.jsonl").read_text().splitlines()[1])
    (folder,) = (tmp_path / "shots").iterdir()
    assert read(folder)[2]["polyps"] == line["polyps"]


def test_without_a_result_or_with_the_overlay_off_nothing_is_outlined(
    tmp_path: Path, frame: Frame, found: FrameAnalysis
) -> None:
    with SnapshotWriter(tmp_path, HEADER) as writer:
        writer.take(frame, None, SETTINGS)
        writer.take(frame, found, dataclasses.replace(SETTINGS, overlay=False))
    without, off = (read(folder) for folder in sorted(tmp_path.iterdir()))
    assert np.array_equal(without[0], without[1])
    assert np.array_equal(off[0], off[1])
    assert without[2]["analysed"] is None
    assert without[2]["polyps"] == []
    assert len(off[2]["polyps"]) == 1  # what was found counts all the same


def test_the_frame_itself_is_never_drawn_on(tmp_path: Path, frame: Frame, found: FrameAnalysis) -> None:
    before = frame.to_bgr()
    with SnapshotWriter(tmp_path, HEADER, deidentify=True) as writer:
        writer.take(frame, found, SETTINGS, [onscreen.FROZEN])
    assert np.array_equal(frame.to_bgr(), before)


def test_the_same_frame_at_the_same_moment_is_not_overwritten(
    tmp_path: Path, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.25)
    for number in range(3):  # as three processes that share the folder
        with SnapshotWriter(tmp_path, {"number": number}) as writer:
            writer.take(frame, None, SETTINGS)
    names = [folder.name for folder in sorted(tmp_path.iterdir())]
    assert names == [f"20270115T080000.250Z-000123{suffix}" for suffix in ("", "-2", "-3")]
    assert [read(folder)[2]["number"] for folder in sorted(tmp_path.iterdir())] == [0, 1, 2]


def test_a_slow_disk_holds_nobody_up_and_loses_what_it_must(
    tmp_path: Path, frame: Frame, blocked: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    writer = SnapshotWriter(tmp_path, HEADER)
    begun = time.perf_counter()
    for _ in range(20):
        writer.take(frame, None, SETTINGS)
    assert time.perf_counter() - begun < 0.5
    assert not [path for path in tmp_path.iterdir() if not path.name.startswith(".")]  # whole or not at all
    blocked.set()
    writer.close()
    assert writer.written + writer.failed == 20
    assert 4 <= writer.written <= 5
    assert len(list(tmp_path.iterdir())) == writer.written
    assert caplog.text.count("a snapshot is lost") == 1


def test_a_disk_that_hangs_does_not_keep_the_session_from_ending(
    tmp_path: Path, frame: Frame, blocked: threading.Event
) -> None:
    writer = SnapshotWriter(tmp_path, HEADER)
    writer.take(frame, None, SETTINGS)
    begun = time.perf_counter()
    writer.close()
    assert time.perf_counter() - begun < 2.5
    assert writer.failed == 1


def test_a_write_that_fails_is_told_once_and_leaves_nothing(
    tmp_path: Path, frame: Frame, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "shots"
    with SnapshotWriter(folder, HEADER) as writer:
        folder.rmdir()
        folder.write_text("in the way")  # root may write anywhere else
        writer.take(frame, None, SETTINGS)
        writer.take(frame, None, SETTINGS)
    assert (writer.written, writer.failed) == (0, 2)
    (record,) = caplog.records
    assert "a snapshot is lost (Not a directory)" in record.getMessage()


def test_a_full_disk_leaves_no_part_of_a_snapshot(
    tmp_path: Path, frame: Frame, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = snapshot_writer._write_png

    def full(path: Path, frame: Frame) -> None:
        if path.name == "overlay.png":
            raise OSError(28, "No space left on device")
        write(path, frame)

    monkeypatch.setattr(snapshot_writer, "_write_png", full)
    with SnapshotWriter(tmp_path, HEADER) as writer:
        writer.take(frame, None, SETTINGS)
    assert list(tmp_path.iterdir()) == []
    assert writer.failed == 1


def test_a_folder_that_cannot_be_made_fails(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot be created .*; give another folder"):
        SnapshotWriter(tmp_path / "file" / "shots", HEADER)
