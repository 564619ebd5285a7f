"""Outputs: what may be asked for, and that all of it is opened or nothing stays open."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError, OutputError
from rtpolyp.video.outputs import Outputs, open_sinks
from rtpolyp.video.source import open_source
from tests.runtime.red_disc import disc_clip


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return disc_clip(tmp_path_factory.mktemp("clips") / "disc.mp4", frames=3)


def test_each_output_that_is_asked_for_is_opened(clip, tmp_path):
    outputs = Outputs(video=tmp_path / "out.mp4", json=str(tmp_path / "out.jsonl"), masks=tmp_path / "masks")
    with open_source(clip) as source:
        sinks = open_sinks(outputs, source, {"source": "disc"})
        for one in sinks:
            one.sink.close()
    assert [(one.path.name, one.takes) for one in sinks] == [
        ("out.mp4", "pictures"),
        ("out.jsonl", "results"),
        ("masks", "results"),
    ]
    assert outputs.written() == tuple(one.path for one in sinks)


def test_nothing_stays_open_where_one_output_cannot_be(clip, tmp_path, monkeypatch):
    closed = []
    monkeypatch.setattr("rtpolyp.video.outputs.VideoSink.close", lambda sink: closed.append(sink._path.name))
    with open_source(clip) as source, pytest.raises(OutputError, match="no folder"):
        open_sinks(Outputs(video=tmp_path / "out.mp4", json=tmp_path / "no" / "out.jsonl"), source, {})
    assert closed == ["out.mp4"]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"json": 3}, "json 3: give the path"),
        ({"video": ""}, "video ''"),
        ({"masks": "a\0b"}, "masks .*: give the path"),
        ({"audio": "yes"}, "audio 'yes'"),
    ],
)
def test_an_output_that_is_no_path_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Outputs(**fields)


def test_a_format_that_cannot_go_on_is_refused_with_resume_and_loses_nothing(tmp_path):
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "a.png"), np.zeros((32, 32, 3), np.uint8))
    (tmp_path / "a.dcm").write_bytes(b"of an earlier run")
    outputs = Outputs(masks=tmp_path / "masks", dicom_seg=tmp_path / "a.dcm")
    with (
        open_source(tmp_path / "in") as source,
        pytest.raises(InputError, match="dicom_seg is begun anew by"),
    ):
        open_sinks(outputs, source, {}, resume=True)
    assert (tmp_path / "a.dcm").read_bytes() == b"of an earlier run"


def test_files_and_live_sources_refuse_what_only_the_other_has(tmp_path):
    with pytest.raises(InputError, match="raw: is for live sources"):
        Outputs(raw=tmp_path / "raw.mp4").check_for_file()
    with pytest.raises(InputError, match="masks: a live source has none"):
        Outputs(masks=tmp_path).check_for_live()


def test_the_sound_of_a_live_source_wants_a_raw_recording(tmp_path):
    with pytest.raises(InputError, match="is kept in its raw recording alone"):
        Outputs(video=tmp_path / "a.mp4", audio=True).check_for_live()
    Outputs(video=tmp_path / "a.mp4", raw=tmp_path / "b.mp4", audio=True).check_for_live()
