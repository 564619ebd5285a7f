"""The summary's figures are those that one counts by hand."""

import csv
import io

import numpy as np
import pytest

from rtpolyp.batch.archive_page import render_archive
from rtpolyp.batch.summary import VideoSummary, archive_of, csv_of, summarise
from rtpolyp.report.examination import Examination, examine
from rtpolyp.report.lines import FoundPolyp, Header, Line

RATE = 25


def examination(*tracks: tuple[int, int], frames: int = 1500) -> Examination:
    """A minute with a track from frame to frame, both inclusive."""
    contour = np.float32([[0, 0], [9, 0], [9, 9]])
    lines = [
        Line(
            f"{index:06d}",
            10 + index / RATE,  # a stream may begin anywhere
            0.5,
            tuple(
                FoundPolyp(number, 0.9, 50.0, contour)
                for number, (first, last) in enumerate(tracks, 1)
                if first <= index <= last
            ),
        )
        for index in range(frames)
    ]
    return examine([Header({"source": "x"}, (64, 48)), *lines], "x")


def test_a_video_is_summed_up():
    run = examination((50, 100), (200, 225), (300, 311), (400, 400))
    qualities = ["clear"] * 1350 + ["blurred"] * 100 + ["outside"] * 35 + ["frozen"] * 15
    found = summarise("ward 1/a.mp4", run, qualities, None)
    assert found.frames == 1500
    assert found.minutes == pytest.approx(1)
    assert found.sightings == 4
    assert found.first_sighting_seconds == pytest.approx(2)
    assert found.longest_sighting_seconds == pytest.approx(2.0)
    counts = found.sightings_half_second, found.sightings_one_second, found.sightings_two_seconds
    assert counts == (2, 2, 1)
    assert found.not_seen_frames == 135


def test_an_archive_is_the_sum_of_its_videos():
    one = summarise("a", examination((50, 100)), ["clear"] * 1500, None)
    two = summarise("b", examination((0, 12), (100, 110), frames=750), ["outside"] * 750, "b: cut off")
    none = summarise("c", examination(frames=750), ["clear"] * 750, None)
    archive = archive_of([one, two, none], 1)
    assert (archive.videos, archive.problems, archive.sightings, archive.videos_with_sightings) == (
        3,
        2,
        3,
        2,
    )
    assert archive.hours == pytest.approx(2 / 60)
    assert archive.median_first_sighting_seconds == pytest.approx(1)
    assert archive.activations_a_minute_two_seconds == pytest.approx(0.5)
    assert archive.not_seen_share == pytest.approx(0.25)
    assert archive_of([], 1).not_seen_share is None


def test_the_csv_holds_rates_and_no_formulas():
    found = summarise("=x.mp4", examination((50, 100), frames=750), ["clear"] * 750, None)
    rows = list(
        csv.DictReader(io.StringIO(csv_of([found, VideoSummary("y", problem="y: no video")]).decode()))
    )
    assert rows[0]["video"] == "'=x.mp4"
    assert float(rows[0]["activations_a_minute_two_seconds"]) == pytest.approx(2)
    assert rows[0]["first_sighting_seconds"] == "2"
    assert rows[1]["problem"] == "y: no video"
    assert rows[1]["not_seen_share"] == ""


def test_the_page_shows_strangers_names_as_text():
    found = summarise("<b>.mp4", examination((50, 100)), ["clear"] * 1500, None)
    page = render_archive([found], {"<i>.mp4": "no & video"}, pages={"<b>.mp4": "pages/<b>.mp4.html"})
    assert '<a href="pages/%3Cb%3E.mp4.html">&lt;b&gt;.mp4</a>' in page
    assert "<td>&lt;i&gt;.mp4</td><td>no &amp; video</td>" in page
