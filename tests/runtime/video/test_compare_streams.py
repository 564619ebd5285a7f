"""A sample of the product that scripts/compare_streams.py compares with ffprobe; the whole is its result."""

import shutil

import pytest

from scripts.compare_streams import B264, X264, Combination, combinations, count_bad, row_of, try_one

SAMPLE = [
    Combination("mp4", B264, "variable", "aac"),
    Combination("ts", ["mpeg2video", "-bf", "2"], "29.97", "mp2"),
    Combination("ts", B264, "60", "aac"),  # whose first burst of sound has no times from a pipe
    Combination("mkv", B264, "variable", "flac"),
    Combination("avi", ["mjpeg", "-q:v", "2"], "60", "pcm_s16le"),
    Combination("mov", X264, "25", ""),
]


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffmpeg's programs are not installed")
@pytest.mark.parametrize("wanted", SAMPLE, ids=lambda one: f"{one.container}-{one.codec}-{one.rate}")
def test_a_recording_has_the_frames_times_and_sound_of_ffprobe(tmp_path, wanted):
    assert try_one(wanted, tmp_path) == {way: [] for way in wanted.ways}


def test_the_product_is_whole_and_a_difference_is_counted():
    product = list(combinations())
    assert all(wanted in product for wanted in SAMPLE)
    rows = [
        row_of(SAMPLE[0], {"file": []}),
        row_of(SAMPLE[1], {"file": [], "named pipe": ["3 frames, read 2"]}),
    ]
    assert count_bad(rows) == 1
    assert rows[0] == "| mp4 | libx264 with B-frames | variable | aac | same (file) |"
