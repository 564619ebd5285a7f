"""A name in the picture's border and in the source, a password in the address: none is in any output."""

import json
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging import onscreen
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.live.event_log import EventLog
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.live.metrics import serve_metrics
from rtpolyp.live.snapshot_writer import SnapshotWriter
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Frame, Segmentation
from tests.runtime.clips import frame_of

NAME, PASSWORD = "doe_jane", "hunter2"
ADDRESS = f"rtsp://admin:{PASSWORD}@10.0.0.5:554/live?token={PASSWORD}"
PICTURE = Rect(220, 10, 400, 450)
NO_ALERT = Alert(active=False, started=False, track=None, since_seconds=None)
SETTINGS = Settings(0.5, 0.0, 0.0)


def named_frame() -> tuple[Frame, NDArray[np.uint8]]:
    """A frame whose border says the name, and the name alone, cut out, to look for."""
    bgr = np.full((480, 640, 3), 4, np.uint8)
    bgr[:, PICTURE.x :] = (90, 110, 190)
    cv2.putText(bgr, NAME, (10, 60), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (220,) * 3, 2, cv2.LINE_AA)
    frame = frame_of(bgr, index=5)
    return frame, frame.to_bgr()[30:75, 5:200, 1].copy()


def likeness(picture: NDArray[np.uint8], name: NDArray[np.uint8]) -> float:
    """How well the name matches at its best place: 1 where it stands."""
    found = cv2.matchTemplate(np.ascontiguousarray(picture[:, :, 1]), name, cv2.TM_CCOEFF_NORMED)
    return float(np.nan_to_num(found, nan=0.0, posinf=0.0, neginf=0.0).max())


def take(folder: Path, *, deidentify: bool) -> tuple[NDArray[np.uint8], NDArray[np.uint8], bytes]:
    """Both pictures of a snapshot, and every byte of it."""
    frame, _ = named_frame()
    corners = np.array([(200, 200), (300, 200), (300, 300), (200, 300)], np.float32)  # reaches the border
    polyp = Polyp(Rect(200, 200, 100, 100), 10_000.0, 0.91, corners, track=4, frame_size=(640, 480))
    view = make_view((640, 480), (64, 64))
    segmentation = Segmentation(5, 0.2, (polyp,), np.zeros((64, 64), np.uint8), view, SETTINGS.threshold)
    found = FrameAnalysis(segmentation, NO_ALERT, (), "clear", captured_at=0.0, latency_seconds=0.02)
    header = {"source": f"{NAME}.mp4" if deidentify else ADDRESS, "backend": f"told by {ADDRESS}"}
    badges = [onscreen.no_signal(f"{NAME}.mp4: timed out"), onscreen.RESEARCH_USE]
    with SnapshotWriter(folder, header, deidentify=deidentify) as writer:
        writer.take(frame, found, SETTINGS, badges, picture=PICTURE)
    (shot,) = folder.iterdir()
    written = b"".join(path.read_bytes() for path in sorted(shot.iterdir()))
    return cv2.imread(str(shot / "raw.png")), cv2.imread(str(shot / "overlay.png")), written


def test_a_deidentified_snapshot_has_no_name_in_picture_or_text(tmp_path: Path) -> None:
    _, name = named_frame()
    raw, overlay, written = take(tmp_path / "shots", deidentify=True)
    outside = np.ones(raw.shape[:2], np.bool_)
    bleeding = 4  # pixels over which a PNG's conversion to RGB smooths the picture's own chroma outwards
    x0, y0 = PICTURE.x - bleeding, PICTURE.y - bleeding
    outside[y0 : PICTURE.y + PICTURE.height + bleeding, x0 : PICTURE.x + PICTURE.width + bleeding] = False
    assert outside[30:75, 5:200].all()  # the name
    assert (raw[outside] == 0).all()
    assert raw[PICTURE.y + 10 : 400, PICTURE.x + 10 : 600].min() > 0
    assert likeness(overlay, name) < 0.5
    assert NAME.encode() not in written
    assert PASSWORD.encode() not in written


def test_without_deidentify_the_name_stays_where_it_was_and_the_password_does_not(tmp_path: Path) -> None:
    _, name = named_frame()
    raw, overlay, written = take(tmp_path / "shots", deidentify=False)
    assert likeness(raw, name) > 0.99  # so the search above would have found it
    assert likeness(overlay, name) > 0.99
    assert b"10.0.0.5:554/live" in written
    assert PASSWORD.encode() not in written


def test_a_deidentified_badge_is_drawn_without_its_detail(tmp_path: Path) -> None:
    _, overlay, written = take(tmp_path / "shots", deidentify=True)
    values = json.loads(written[written.index(b"{\n") :])
    assert values["badges"] == ["NO SIGNAL", "RESEARCH USE"]
    assert (overlay[420:, :200] > 0).any()


def test_a_picture_not_yet_known_is_not_shown(tmp_path: Path) -> None:
    frame, _ = named_frame()
    with SnapshotWriter(tmp_path, {}, deidentify=True) as writer:
        writer.take(frame, None, SETTINGS)
    (shot,) = tmp_path.iterdir()
    assert not cv2.imread(str(shot / "raw.png")).any()
    assert not cv2.imread(str(shot / "overlay.png")).any()


def test_neither_log_nor_metrics_nor_summary_tell_the_password(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, telemetry = tmp_path / "session.log", Telemetry()
    with EventLog(path) as log, serve_metrics(telemetry, ":0") as server:
        log.write("start", source=ADDRESS)
        log.write("outage", reason=f"{ADDRESS}: Connection refused", addresses=[ADDRESS])
        log.write("error", exception=OSError(5, "Input/output error", ADDRESS))
        telemetry.count("source_outages")
        with urllib.request.urlopen(server.url, timeout=5) as answer:
            metrics = answer.read()
    outputs = path.read_bytes() + metrics + "\n".join(telemetry.summary_lines(1.0)).encode()
    assert outputs.count(b"10.0.0.5:554/live") == 4
    assert PASSWORD.encode() not in outputs + caplog.text.encode()
