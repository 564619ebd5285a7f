"""`rtpolyp run` on DICOM objects: what it writes is read back by pydicom, highdicom and ourselves."""

import errno
import json
import re
import shutil
from pathlib import Path

import av
import cv2
import highdicom
import numpy as np
import pydicom
import pytest

from rtpolyp.cli import run_command_line
from rtpolyp.dicom import object_file
from rtpolyp.dicom.fragments import FragmentStream, find_fragments
from rtpolyp.dicom.header import read_header
from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.labels import read_run
from rtpolyp.run import run_file
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip
from tests.runtime.dicom.standard import faults
from tests.runtime.dicom_files import NESTED, PLANTED, PRIVATE, still, stream, video
from tests.runtime.red_disc import SPEC, disc, disc_clip
from tests.runtime.stub_engine import StubEngine
from tests.runtime.tiny_bundle import write_tiny_bundle

FRAMES = 10
SIZE = (158, 126)  # no multiple of eight pixels: masks begin within a byte


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle, and a DICOM video, still and JPEGs with a patient in each."""
    folder = tmp_path_factory.mktemp("dicom")
    write_tiny_bundle(folder / "tiny")
    stream(folder / "IM0001", clip=Clip(frames=FRAMES, size=SIZE))
    still(folder / "IM0002", disc(3, SIZE))
    times = {"FrameTime": None, "FrameTimeVector": [0, 33, 34, 90], "FrameIncrementPointer": 0x00181065}
    video(folder / "IM0003", [disc(n, SIZE) for n in range(4)], **times)
    disc_clip(folder / "clip.mp4", frames=3)
    video(folder / "large", [np.full((1600, 2560, 3), 60, np.uint8)])
    found = pydicom.dcmread(folder / "IM0001")
    del found.StudyInstanceUID
    found.save_as(folder / "no study")
    return folder


@pytest.fixture(scope="module")
def ran(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    assert (
        run(folder, folder / "IM0001", out, "--dicom-seg", out / "seg", "--dicom-video", out / "video") == 0
    )
    return out


def run(folder: Path, source: Path, out: Path, *more: object) -> int:
    common = ("-o", out / "o.mp4", "--json", out / "o.jsonl", "--engine", folder / "tiny")
    return run_command_line(["run", *map(str, (source, *common, "--precision", "fp32", *more))])


def test_the_segmentation_holds_the_masks_of_the_json(folder, ran):
    found, source = highdicom.seg.segread(ran / "seg"), pydicom.dcmread(folder / "IM0001")
    labels = read_run(ran / "o.jsonl")
    tracks = sorted({region.track for frame in labels.frames for region in frame.regions})
    assert [found.get_segment_description(n).tracking_id for n in found.segment_numbers] == [
        f"polyp {track}" for track in tracks
    ]
    assert len(labels.frames) == FRAMES
    for frame in labels.frames:
        masks = found.get_pixels_by_source_frame(
            source.SOPInstanceUID, [frame.index + 1], ignore_spatial_locations=True
        )
        for track in tracks:
            expected = [region.mask(SIZE) for region in frame.regions if region.track == track]
            assert np.array_equal(masks[0, :, :, tracks.index(track)], expected[0])
    assert found.StudyInstanceUID == source.StudyInstanceUID
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == source.SeriesInstanceUID


def test_the_video_holds_the_picture_with_the_overlay_at_its_times(folder, ran):
    found, source = pydicom.dcmread(ran / "video"), pydicom.dcmread(folder / "IM0001")
    reference = found.SourceImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert reference.ReferencedSOPClassUID == source.SOPClassUID
    assert (found.PatientName, found.StudyDate) == (source.PatientName, source.StudyDate)
    assert found.SOPInstanceUID != source.SOPInstanceUID
    with open_source(ran / "video") as video, open_source(ran / "o.mp4") as shown:
        assert video.remarks.lines == []
        pairs = list(zip(video, shown, strict=True))
    assert len(pairs) == FRAMES
    for ours, theirs in pairs:
        assert ours.pts_seconds == theirs.pts_seconds
        assert np.abs(ours.to_bgr().astype(int) - theirs.to_bgr()).mean() < 2
    with av.open(str(ran / "o.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"


def test_the_stream_is_of_the_profile_that_the_syntax_names(ran):
    found = read_header(ran / "video", max_pixels=10**6)
    assert found.syntax == pydicom.uid.MPEG4HP41
    with FragmentStream(found.path, find_fragments(found)[1]) as content, av.open(content) as container:
        context = container.streams.video[0].codec_context
        assert (context.profile, container.format.name[:3]) == ("High", "mov")


def test_both_objects_hold_what_the_standard_demands(ran, monkeypatch):
    assert faults(pydicom.dcmread(ran / "seg"), "segmentation") == []
    assert faults(pydicom.dcmread(ran / "video"), "video-endoscopic-image") == []
    monkeypatch.setattr(pydicom.config.settings, "reading_validation_mode", pydicom.config.RAISE)
    for name in ("seg", "video"):
        assert len(list(pydicom.dcmread(ran / name).iterall())) > 40  # each value fits its representation


def test_uneven_frame_times_become_a_vector(folder, tmp_path):
    with StubEngine(SPEC) as engine:
        run_file(folder / "IM0003", Outputs(dicom_video=tmp_path / "v"), model=engine)
    assert list(pydicom.dcmread(tmp_path / "v").FrameTimeVector) == [0, 33, 34, 90]
    with open_source(tmp_path / "v") as source:
        assert [frame.pts_seconds for frame in source] == pytest.approx([0, 0.033, 0.067, 0.157], abs=1e-5)


def test_a_still_has_a_segment_for_each_polyp(folder, tmp_path):
    outputs = Outputs(dicom_seg=tmp_path / "seg", json=tmp_path / "o.jsonl")
    with StubEngine(SPEC) as engine:
        run_file(folder / "IM0002", outputs, model=engine)
    found = highdicom.seg.segread(tmp_path / "seg")
    (frame,) = read_run(tmp_path / "o.jsonl").frames
    masks = found.get_pixels_by_source_instance([PLANTED["SOPInstanceUID"]], ignore_spatial_locations=True)
    assert np.array_equal(masks[0, :, :, 0], frame.mask())


def test_nothing_found_is_an_empty_segment_that_says_so(tmp_path):
    bare = video(tmp_path / "bare", [np.full((126, 158, 3), 60, np.uint8)] * 2)
    with StubEngine(SPEC) as engine:
        run_file(bare, Outputs(dicom_seg=tmp_path / "seg"), model=engine)
    found = highdicom.seg.segread(tmp_path / "seg")
    assert found.get_segment_description(1).SegmentLabel == "no polyp outlined"
    assert not found.pixel_array.any()


def test_no_trace_of_the_patient_is_left(folder, tmp_path, capsys, caplog):
    more = ("--dicom-seg", tmp_path / "seg", "--dicom-video", tmp_path / "video", "--deidentify")
    assert run(folder, folder / "IM0001", tmp_path, *more, "--crop", f"0,0,{SIZE[0]},{SIZE[1]}") == 0
    said = capsys.readouterr()
    content = (said.out + said.err + caplog.text).encode()
    for path in sorted(tmp_path.iterdir()):
        assert path.is_file()
        content += path.read_bytes()
    for value in (*PLANTED.values(), NESTED, PRIVATE, "Zimtstern", 'IM0001"'):
        assert value.encode() not in content.replace(str(folder).encode(), b"")
    seg, video = pydicom.dcmread(tmp_path / "seg"), pydicom.dcmread(tmp_path / "video")
    assert "source" not in json.loads((tmp_path / "o.jsonl").read_text().splitlines()[0])
    for found, iod in ((seg, "segmentation"), (video, "video-endoscopic-image")):
        assert found.PatientIdentityRemoved == "YES"
        assert found.DeidentificationMethodCodeSequence[0].CodeValue == "113100"
        assert faults(found, iod) == []
        assert not [element for element in found.iterall() if element.tag.is_private]
        year = re.compile(r"^(19(?!000101)|20)\d{6}")
        assert not [e for e in found.iterall() if e.VR in ("DA", "DT") and year.match(str(e.value))]
    assert seg.StudyInstanceUID == video.StudyInstanceUID
    assert seg.SourceImageSequence[0].ReferencedSOPInstanceUID == (
        video.SourceImageSequence[0].ReferencedSOPInstanceUID
    )


def test_a_name_of_any_form_is_kept_and_not_repeated(tmp_path, recwarn, caplog):
    bare = still(tmp_path / "bare", disc(3, SIZE), PatientName="Zimtstern")
    found = bare.read_bytes().replace(b"20190717", b"17.7.19 ")  # which pydicom would not write
    bare.write_bytes(found)
    with StubEngine(SPEC) as engine:
        run_file(bare, Outputs(dicom_seg=tmp_path / "seg"), model=engine)
    assert pydicom.dcmread(tmp_path / "seg").PatientName == "Zimtstern"
    assert caplog.text == ""
    assert not list(recwarn)


def test_everything_outside_the_picture_becomes_black(tmp_path):
    framed = [np.pad(disc(n, (128, 96)), ((16, 16), (16, 16), (0, 0)), constant_values=200) for n in range(3)]
    outputs = Outputs(video=tmp_path / "o.mp4", dicom_video=tmp_path / "v", deidentify=True)
    with StubEngine(SPEC) as engine:
        run_file(video(tmp_path / "in", framed), outputs, model=engine, crop=Rect(16, 16, 128, 96))
    for name in ("v", "o.mp4"):
        with open_source(tmp_path / name) as shown:
            for frame in shown:
                luma = frame.luma()
                assert luma[:15].max() < 24 > luma[:, :15].max()
                assert luma[40:80, 40:80].max() > 60


REFUSED = {
    "no DICOM source": ("clip.mp4", {"dicom_seg": "s"}, "no DICOM object"),
    "no DICOM video source": ("clip.mp4", {"dicom_video": "s"}, "no DICOM object"),
    "no video": ("IM0002", {"dicom_video": "s"}, "a still picture makes no video"),
    "too large a video": (
        "large",
        {"dicom_video": "s"},
        "2560x1600 pixels at 25 frames/s are more",
    ),
    "no folder": ("IM0001", {"dicom_seg": "no/s"}, "no folder"),
    "no folder for the video": ("IM0001", {"dicom_video": "no/s"}, "no folder"),
    "its own source": ("IM0001", {"dicom_seg": "IM0001"}, "output and input are the same file"),
    "one place for two": ("IM0001", {"dicom_seg": "s", "dicom_video": "s"}, "the same place"),
    "no border": ("IM0001", {"dicom_seg": "s", "deidentify": True}, "no certain border"),
    "sound": ("IM0001", {"deidentify": True, "audio": True}, "audio: the sound may name the patient"),
    "no study": ("no study", {"dicom_seg": "s"}, "a header of which no object can be made"),
    "no study of the video": ("no study", {"dicom_video": "s"}, "a header of which no object can be made"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_written_is_one_line(case, folder, tmp_path, monkeypatch):
    name, outputs, message = REFUSED[case]
    monkeypatch.chdir(shutil.copytree(folder, tmp_path / "in", ignore=shutil.ignore_patterns("tiny")))
    before = sorted(Path().iterdir())
    with StubEngine(SPEC) as engine, pytest.raises((InputError, OutputError), match=message) as caught:
        run_file(name, Outputs(**outputs), model=engine)
    assert "\n" not in str(caught.value)
    assert not [value for value in PLANTED.values() if value in str(caught.value)]
    assert sorted(Path().iterdir()) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--latest", "--dicom-seg", "s"], "--dicom-seg: a live source has none; record it"),
        (["--deidentify", "--crop", "off"], "--deidentify: blanks what crop leaves out"),
    ],
)
def test_flags_that_do_not_fit_are_one_line(flags, message, folder, tmp_path, capsys):
    assert run(folder, folder / "clip.mp4", tmp_path, *flags) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert message in line


def test_a_full_disk_leaves_no_half_object(folder, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(object_file.shutil, "copyfileobj", full)
    for name in ("dicom_seg", "dicom_video"):
        with StubEngine(SPEC) as engine, pytest.raises(OutputError, match="No space left on device"):
            run_file(folder / "IM0001", Outputs(**{name: tmp_path / "o"}), model=engine)
        assert list(tmp_path.iterdir()) == []


def test_a_dicom_video_is_evaluated(folder, tmp_path, capsys):
    engine = ["--engine", str(folder / "tiny"), "--precision", "fp32"]
    assert (
        run_command_line(["eval", str(folder / "IM0001"), *engine, "--json", str(tmp_path / "r.json")]) == 0
    )
    assert f"{FRAMES} frames" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text())["videos"] == [str(folder / "IM0001")]


def test_a_folder_of_dicom_stills_is_evaluated(folder, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for number in range(2):
        still(tmp_path / "images" / f"1.2.{number}", disc(3 * number, (160, 128)))
        mask = np.all(disc(3 * number, (160, 128)) == (60, 60, 230), axis=2)
        cv2.imwrite(str(tmp_path / "masks" / f"1.2.{number}.png"), mask.astype(np.uint8) * 255)
    assert (
        run_command_line(["eval", str(tmp_path), "--engine", str(folder / "tiny"), "--precision", "fp32"])
        == 0
    )
    assert "2 frames" in capsys.readouterr().out
