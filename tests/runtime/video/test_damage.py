"""What a damaged file has lost is counted once, on the screen and in the JSON's last line."""

import json
import logging
from fractions import Fraction
from pathlib import Path

import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.json_sink import JsonSink
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip

PACKET = 188  # bytes of a transport stream's packet
CLIP = Clip(frames=75, size=(320, 256), options={"preset": "ultrafast", "crf": "4", "g": "25"})


def read(path: Path, out: Path) -> tuple[list[int], dict, str]:
    """The codes of the frames, the summary in the JSON, and what broke the file off."""
    codes, end = [], ""
    with open_source(path) as source, JsonSink(out, {}, source):
        try:
            codes.extend(code_of(frame.to_bgr()) for frame in source)
        except InputError as exc:
            end = str(exc)
    return codes, json.loads(out.read_text().splitlines()[-1])["summary"], end


def said(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("gap.ts", "libx264", CLIP.options),
        ("gap.m2ts", "libx264", CLIP.options),
        ("gap.ts", "mpeg2video", {"b": "4000000"}),
    ],
)
def test_lost_packets_are_counted_as_pictures(tmp_path, caplog, name, codec, options):
    base = Fraction(1, 25) if codec == "mpeg2video" else CLIP.time_base
    changes = {"codec": codec, "options": options, "time_base": base}
    path = make_clip(tmp_path / name, Clip(**(CLIP.__dict__ | changes)))
    unit = PACKET + 4 if name.endswith("m2ts") else PACKET
    data = path.read_bytes()
    count = len(data) // unit
    path.write_bytes(data[: count // 2 * unit] + data[(count // 2 + count // 8) * unit :])
    with caplog.at_level(logging.WARNING):
        codes, summary, _ = read(path, tmp_path / "a.json")
    lost = 75 - len(codes)
    assert lost > 3
    assert summary["lost_pictures"] == lost
    remark = f"damaged: {lost} pictures lost, {summary['damaged_pictures']} shown with errors"
    assert summary["remarks"] == [remark]
    assert said(caplog) == [f"{name}: {remark}"]


@pytest.mark.parametrize("name", ["flips.mp4", "flips.mkv", "flips.ts"])
def test_flipped_bits_are_counted(tmp_path, name):
    path = make_clip(tmp_path / name, Clip(**(CLIP.__dict__ | {"container_options": {}})))
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 30_000, 997):
        data[at] ^= 0x10
    path.write_bytes(data)
    codes, summary, _ = read(path, tmp_path / "a.json")
    assert len(codes) + summary["lost_pictures"] == pytest.approx(75, abs=1)  # a time may be hit, too
    assert summary["lost_pictures"] + summary["damaged_pictures"] > 0
    assert len(summary["remarks"]) == 1


@pytest.mark.parametrize("name", ["late.ts", "late.m2ts"])
def test_first_pictures_that_cannot_be_decoded_are_counted(tmp_path, name):
    path = make_clip(tmp_path / name, CLIP)
    unit = PACKET + 4 if name.endswith("m2ts") else PACKET
    data = path.read_bytes()
    path.write_bytes(data[: 3 * unit] + data[len(data) // unit // 6 * unit :])
    codes, summary, _ = read(path, tmp_path / "a.json")
    assert codes == list(range(25, 75))
    assert 8 < summary["lost_pictures"] <= 25
    assert len(summary["remarks"]) == 1


def test_a_whole_file_has_lost_nothing(tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        codes, summary, end = read(make_clip(tmp_path / "whole.ts", CLIP), tmp_path / "a.json")
    assert (codes, end) == (list(range(75)), "")
    assert (summary["lost_pictures"], summary["damaged_pictures"], summary["remarks"]) == (0, 0, [])
    assert said(caplog) == []


def test_a_cut_end_is_an_error_after_its_summary(tmp_path):
    path = make_clip(tmp_path / "cut.mkv", CLIP)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    codes, summary, end = read(path, tmp_path / "a.json")
    assert f"it was cut off; the {len(codes)} frames before are good" in end
    assert summary["frames"] == 0  # none was written here; the line is there all the same
