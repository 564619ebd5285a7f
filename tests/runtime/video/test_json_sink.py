"""JsonSink: one line a frame, whole lines whatever happens."""

import json
import resource
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from rtpolyp.errors import OutputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.video.frame import Segmentation
from rtpolyp.video.json_sink import JsonSink
from tests.runtime.clips import frame_of, picture

ROOT = Path(__file__).resolve().parents[3]
POLYP = Polyp(
    box=Rect(10, 20, 31, 16),
    area=412.3456,
    confidence=0.876543,
    contour=np.float32([[10.04, 20.06], [40.96, 20.0], [25.5, 35.33333]]),
    track=3,
    frame_size=(160, 128),
)


def found(*polyps: Polyp, index: int = 7) -> Segmentation:
    view = make_view((160, 128), (64, 64))
    return Segmentation(index, index / 25, polyps, np.zeros((64, 64), np.uint8), view, 0.43)


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_frames(path, count):
    with JsonSink(path, {}) as sink:
        for index in range(count):
            sink.write(frame_of(picture(0), index=index), found(POLYP))


def test_a_header_and_a_line_a_frame(tmp_path):
    path = tmp_path / "out.jsonl"
    with JsonSink(path, {"source": "Käse.mp4", "settings": {"threshold": 0.5}}) as sink:
        sink.write(frame_of(picture(0)), found(POLYP))
        sink.write(frame_of(picture(0), index=8), found(index=8))
    header, first, second = lines(path)
    assert header == {"schema": 1, "source": "Käse.mp4", "settings": {"threshold": 0.5}}
    assert first == {
        "index": 7,
        "name": "000007",
        "pts": 7,
        "time_base": "1/25",
        "pts_seconds": 0.28,
        "threshold": 0.43,
        "polyps": [
            {
                "box": [10, 20, 31, 16],
                "area": 412.3,
                "confidence": 0.8765,
                "track": 3,
                "contour": [[10.0, 20.1], [41.0, 20.0], [25.5, 35.3]],
            }
        ],
    }
    assert (second["index"], second["polyps"]) == (8, [])


def test_each_line_is_there_as_soon_as_it_is_written(tmp_path):
    path = tmp_path / "out.jsonl"
    with JsonSink(path, {}) as sink:
        for count in range(3):
            assert len(lines(path)) == count + 1
            sink.write(frame_of(picture(0)), found(POLYP))


def test_kill_9_leaves_whole_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    code = """
        import os, signal, sys
        from pathlib import Path
        from rtpolyp.video.json_sink import JsonSink
        from tests.runtime.clips import frame_of, picture
        from tests.runtime.video.test_json_sink import POLYP, found
        sink = JsonSink(Path(sys.argv[1]), {})
        for index in range(20):
            sink.write(frame_of(picture(0), index=index), found(POLYP))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(path)], check=False, cwd=ROOT)
    assert done.returncode == -signal.SIGKILL
    assert [line["index"] for line in lines(path)[1:]] == list(range(20))


def test_a_full_disk_fails_in_one_line(tmp_path):
    path = tmp_path / "out.jsonl"
    path.symlink_to("/dev/full")
    with pytest.raises(OutputError, match=r"out\.jsonl: cannot be written \(No space left on device\); make"):
        JsonSink(path, {})


def test_a_disk_that_fills_up_keeps_whole_lines(tmp_path):
    path = tmp_path / "out.jsonl"
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        with pytest.raises(OutputError, match="File too large"):
            write_frames(path, 100)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [line["index"] for line in lines(path)[1:]] == list(range(len(lines(path)) - 1))
    assert 2 < len(lines(path)) < 10


def test_another_extension_fails(tmp_path):
    (tmp_path / "clip.mp4").write_text("a video")
    with pytest.raises(OutputError, match=r"clip\.mp4: results are JSON lines; name the file \*\.jsonl"):
        JsonSink(tmp_path / "clip.mp4", {})
    assert (tmp_path / "clip.mp4").read_text() == "a video"


def test_a_missing_folder_fails(tmp_path):
    with pytest.raises(OutputError, match=r"no folder .*none; create it"):
        JsonSink(tmp_path / "none" / "out.jsonl", {})
