"""The page of `rtpolyp report`."""

import base64
import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.errors import InputError, OutputError
from rtpolyp.report import thumbnails
from rtpolyp.report.thumbnails import MOST
from rtpolyp.report.writer import write_report
from rtpolyp.video.video_file import VideoFile
from tests.runtime.clips import Clip, make_clip
from tests.runtime.red_disc import disc, disc_clip
from tests.runtime.report.examinations import frame, polyp, write_lines

FRAMES = 40 * 60 * 25
MOST_BYTES = 5_000_000
SCRIPT = "<script>alert(1)</script>.mp4"


def pictures(page: Path) -> list[np.ndarray]:
    coded = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', page.read_text())
    return [cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR) for one in coded]


def report(tmp_path: Path, lines, video=None, header=None, **options) -> Path:
    results = write_lines(tmp_path / "out.jsonl", lines, **(header or {}))
    write_report(results, tmp_path / "report.html", video=video, **options)
    return tmp_path / "report.html"


def moving(index: int, size: tuple[int, int]) -> np.ndarray:
    """No picture like another."""
    bgr = disc(index % 40, size)
    bgr[:, (7 * index) % size[0] :][:, :12] = (90, index, 60)
    return bgr


def cyan(bgr: np.ndarray) -> int:
    """Pixels of the overlay's pen."""
    blue, green, red = (bgr[..., channel].astype(int) for channel in range(3))
    return int(((blue > red + 60) & (green > red + 60)).sum())


def test_a_sighting_has_a_thumbnail_with_its_outline(tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", frames=30, size=(160, 128))
    lines = [frame(i, [polyp(1, x=30 + 2 * i)] if 8 <= i < 20 else ()) for i in range(30)]
    (picture,) = pictures(report(tmp_path, lines, clip))
    assert picture.shape == (128, 160, 3)
    assert cyan(picture) > 40


@pytest.mark.parametrize("name", ["clip.mp4", "open.mkv"])
def test_thumbnails_by_seeking_are_those_of_the_whole_video(tmp_path, monkeypatch, name):
    """Sightings early, late, next to each other, and around a keyframe, of moving pictures."""
    options = {"g": "25", "bf": "2", "x264-params": f"open-gop={int(name == 'open.mkv')}"}
    clip = make_clip(tmp_path / name, Clip(frames=250, size=(160, 128), options=options), moving)
    best = (3, 99, 100, 101, 230)  # frame of each sighting; it is there for three frames before and after
    lines = []
    for i in range(250):
        near = [at for at in best if abs(i - at) <= 3]
        lines.append(frame(i, [polyp(at, confidence=0.9 if i == at else 0.6) for at in near]))
    decoded = []
    yielded = VideoFile.__iter__
    monkeypatch.setattr(
        VideoFile, "__iter__", lambda self: (decoded.append(1) or one for one in yielded(self))
    )
    by_seeking = report(tmp_path, lines, clip).read_text()
    sought = len(decoded)
    monkeypatch.setattr(thumbnails, "keyframes_of", lambda path: ())
    assert report(tmp_path, lines, clip).read_text() == by_seeking
    assert by_seeking.count("data:image/jpeg") == 5
    assert sought < 60 < 231 <= len(decoded) - sought


def test_nothing_is_fetched_from_anywhere_and_no_script_may_run(tmp_path):
    text = report(tmp_path, [frame(i, [polyp(1)]) for i in range(20)]).read_text()
    assert "default-src 'none'" in text
    assert re.findall(r"https?:|<script|<link|@import|url\(", text) == []


def test_a_name_with_a_script_is_text(tmp_path):
    text = report(tmp_path, [frame(0, [polyp(1)])], header={"source": SCRIPT, "engine": SCRIPT}).read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;.mp4" in text


def test_forty_minutes_stay_below_5_mb(tmp_path):
    """With far more sightings than a real examination has, each with a thumbnail of noise."""

    def noise(index: int, size: tuple[int, int]) -> np.ndarray:
        return np.random.default_rng(index).integers(0, 256, (size[1], size[0], 3), np.uint8)

    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=300, size=(160, 128)), noise)
    tracks = [[12 * (i // 15) + one for one in range(12)] if i < 300 else [i // 10] for i in range(FRAMES)]
    lines = [
        frame(i, [polyp(track, confidence=0.5 + i % 7 / 20) for track in tracks[i]]) for i in range(FRAMES)
    ]
    page = report(tmp_path, lines, clip)
    assert page.stat().st_size < MOST_BYTES
    assert len(pictures(page)) == MOST


def test_deidentified_pages_name_no_file_and_show_the_endoscopes_picture_alone(tmp_path):
    def written_on(index: int, size: tuple[int, int]) -> np.ndarray:
        bgr = disc(index, size)
        bgr[:, :40] = (255, 255, 255)  # the tower's text
        return bgr

    clip = make_clip(tmp_path / "Jane Doe.mp4", Clip(frames=20, size=(160, 128)), written_on)
    lines = [frame(i, [polyp(1, x=60)]) for i in range(20)]
    header = {"source": clip.name, "crop": {"x": 40, "y": 0, "width": 120, "height": 128}}
    page = report(tmp_path, lines, clip, header, deidentify=True)
    assert "Jane" not in page.read_text()
    (picture,) = pictures(page)
    assert picture.shape == (128, 120, 3)
    assert picture[:, 2:].min(axis=2).max() < 200  # no white


def test_deidentified_pages_without_a_certain_border_have_no_thumbnails(tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", frames=20, size=(160, 128))
    page = report(tmp_path, [frame(i, [polyp(1)]) for i in range(20)], clip, deidentify=True)
    assert pictures(page) == []
    assert len(pictures(report(tmp_path, [frame(i, [polyp(1)]) for i in range(20)], clip))) == 1


def test_a_video_of_another_size_is_refused(tmp_path):
    clip = disc_clip(tmp_path / "clip.mp4", frames=3, size=(96, 64))
    with pytest.raises(InputError, match=r"96x64 pixels, and the run was of 160x128"):
        report(tmp_path, [frame(0, [polyp(1)])], clip)


def test_the_page_is_named_html(tmp_path):
    with pytest.raises(OutputError, match=r"name the file \*\.html"):
        write_report(write_lines(tmp_path / "a.jsonl", [frame(0)]), tmp_path / "a.mp4")


def test_latencies_of_the_summary_are_drawn(tmp_path):
    summary = {"summary": {"frames": 2, "times_ms": {"engine": [[7, 60], [9, 39], [40, 1]], "odd": "<b>"}}}
    text = report(tmp_path, [frame(0), frame(1), summary]).read_text()
    assert "median 7, 99 % 9" in text
    assert "<b>" not in text


def test_the_command_writes_a_page_and_ends_in_one_line_without_results(tmp_path, capsys):
    results = write_lines(tmp_path / "out.jsonl", [frame(i, [polyp(1)]) for i in range(9)])
    assert run_command_line(["report", str(results), "-o", str(tmp_path / "r.html")]) == 0
    assert (tmp_path / "r.html").stat().st_size > 1000
    assert run_command_line(["report", str(tmp_path / "no.jsonl")]) == 2
    assert "no.jsonl: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("count", [500, 1250])
def test_a_polyp_in_every_frame_leaves_no_hole_in_the_curves(tmp_path, count):
    text = report(tmp_path, [frame(i, [polyp(1)], rate=25) for i in range(count)]).read_text()
    confidence, _ = re.findall(r'class="curve" points="([^"]+)"', text)
    assert len(confidence.split()) == 4  # up, along and down again
