"""What is read out of a run's JSON lines."""

import json

import pytest

from rtpolyp.errors import InputError
from rtpolyp.report.examination import read_examination
from tests.runtime.compatibility.test_version_0_1_0 import FOLDER
from tests.runtime.report.examinations import frame, polyp, write_lines


def test_a_track_is_one_sighting_from_its_first_outline_to_its_last(tmp_path):
    lines = [frame(i, [polyp(1, side=10 + i)] if 5 <= i <= 15 else ()) for i in range(30)]
    run = read_examination(write_lines(tmp_path / "a.jsonl", lines))
    (sighting,) = run.sightings
    assert (sighting.first_seconds, sighting.last_seconds, sighting.frames) == (0.2, 0.6, 11)
    assert sighting.best.pts_seconds == 0.6  # the largest
    assert run.area.max() == pytest.approx(25**2 / (160 * 128))
    assert run.duration_seconds == pytest.approx(30 / 25)
    assert not sighting.is_brief


def test_two_tracks_at_once_are_two_sightings_and_one_that_returns_goes_on(tmp_path):
    lines = [frame(i, [polyp(1), polyp(2, x=90)] if i < 5 else [polyp(2, x=90)]) for i in range(8)]
    lines += [frame(8, [polyp(1)])]
    run = read_examination(write_lines(tmp_path / "a.jsonl", lines))
    assert [(one.number, one.frames) for one in run.sightings] == [(1, 6), (2, 8)]


def test_minutes_count_frames_and_the_sightings_that_begin_in_them(tmp_path):
    lines = [frame(i, [polyp(1 + i // 30)] if 70 <= i < 80 else (), rate=1) for i in range(150)]
    run = read_examination(write_lines(tmp_path / "a.jsonl", lines))
    counts = [(one.frames, one.with_polyps, one.sightings) for one in run.minutes()]
    assert counts == [(60, 0, 0), (60, 10, 1), (30, 0, 0)]


def test_each_image_that_shows_a_polyp_is_a_sighting(tmp_path):
    lines = [frame(i, [polyp(None)] if i != 1 else (), name=f"image{i}", rate=1) for i in range(3)]
    run = read_examination(write_lines(tmp_path / "a.jsonl", lines, size=None))
    assert [one.best.name for one in run.sightings] == ["image0", "image2"]


def test_changes_of_the_threshold_are_kept(tmp_path):
    lines = [frame(i, threshold=0.5 if i < 4 else 0.7) for i in range(9)]
    run = read_examination(write_lines(tmp_path / "a.jsonl", lines))
    assert run.thresholds == ((0.0, 0.5), (4 / 25, 0.7))


def test_lines_of_version_0_1_0_are_read():
    assert len(read_examination(FOLDER / "results.jsonl").seconds) > 1


def test_an_interrupted_run_gives_its_whole_lines(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", [frame(0), frame(1)])
    path.write_text(path.read_text() + '{"index": 2, "na')
    run = read_examination(path)
    assert len(run.seconds) == 2
    assert run.summary is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("[]", "line 2 is no JSON object"),
        ("{}", "line 2 has no 'polyps'"),
        (json.dumps(frame(0, pts_seconds="x")), "line 2 has 'x' where a number belongs"),
        (json.dumps(frame(0)).replace("0.0", "NaN", 1), "line 2 NaN is no number"),
        (json.dumps(frame(0, [polyp(1) | {"contour": [1, 2]}])), "line 2 has a contour"),
    ],
)
def test_a_broken_line_is_named(tmp_path, line, problem):
    path = write_lines(tmp_path / "a.jsonl", [])
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(InputError, match=problem):
        read_examination(path)


def test_other_files_are_refused_in_a_line(tmp_path):
    video = tmp_path / "a.mp4"
    video.write_bytes(bytes(range(256)) * 10 + b"\n")
    with pytest.raises(InputError, match=r"a\.mp4: line 1 .*rtpolyp run --json"):
        read_examination(video)
    with pytest.raises(InputError, match="cannot be read"):
        read_examination(tmp_path / "missing.jsonl")
    with pytest.raises(InputError, match="schema 2"):
        read_examination(write_lines(tmp_path / "b.jsonl", [frame(0)], schema=2))
    with pytest.raises(InputError, match="holds no frame"):
        read_examination(write_lines(tmp_path / "c.jsonl", []))


def test_times_that_span_weeks_are_refused_before_anything_grows_with_them(tmp_path):
    lines = [frame(0), frame(1, pts_seconds=1e12)]
    with pytest.raises(InputError, match="times span"):
        read_examination(write_lines(tmp_path / "a.jsonl", lines))
