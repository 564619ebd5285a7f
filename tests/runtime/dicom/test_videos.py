"""Video Endoscopic objects as sources: each stream and frame, at its time."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from pydicom import dcmread, uid
from pydicom.encaps import encapsulate, generate_fragments

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip, picture
from tests.runtime.dicom_files import STREAMS, save, stream, video

BGR = picture(5)


@pytest.mark.parametrize("name", STREAMS)
def test_streams_keep_their_frames_and_times(name, tmp_path):
    clip = Clip(frames=8, rate=Fraction(30), time_base=Fraction(1, 90_000))  # no whole milliseconds
    with open_source(stream(tmp_path / "IM0001", name, clip, draw=picture)) as source:
        frames = list(source)
        assert source.frame_count == 8
        assert source.remarks.lines == []
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(8))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([n / 30 for n in range(8)], abs=2e-5)


@pytest.mark.parametrize(
    ("syntax", "colour"),
    [("JPEGBaseline8Bit", "YBR_FULL_422"), ("RLELossless", "RGB"), ("ExplicitVRLittleEndian", "MONOCHROME2")],
)
def test_frames_that_are_encoded_one_by_one(syntax, colour, tmp_path):
    path = video(tmp_path / "IM0002", [picture(n) for n in range(5)], getattr(uid, syntax), colour)
    with open_source(path) as source:
        frames = list(source)
        assert (source.frame_count, source.frame_rate, source.size) == (5, 25, (160, 128))
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(5))
    assert [frame.pts_seconds for frame in frames] == [0, 0.04, 0.08, 0.12, 0.16]
    expected = picture(3)
    if colour == "MONOCHROME2":
        expected = cv2.cvtColor(expected, cv2.COLOR_BGR2GRAY)[:, :, np.newaxis]
    assert np.abs(frames[3].to_bgr().astype(int) - expected).mean() < 2


def test_a_vector_of_frame_times_is_kept(tmp_path):
    more = {"FrameTime": None, "FrameTimeVector": [0, 10, 30.5, 7], "FrameIncrementPointer": 0x00181065}
    with open_source(video(tmp_path / "v", [picture(n) for n in range(4)], **more)) as source:
        assert [frame.pts_seconds for frame in source] == [0, 0.01, 0.0405, 0.0475]
    elementary = stream(tmp_path / "e", "MPEG4HP41BD", Clip(frames=4), **more)
    with open_source(elementary) as source:
        assert [frame.pts_seconds for frame in source] == [0, 0.01, 0.0405, 0.0475]


def test_a_header_without_times_or_with_others_is_remarked(tmp_path):
    with open_source(video(tmp_path / "v", [BGR, BGR], FrameTime=None)) as source:
        assert [frame.pts_seconds for frame in source] == [0, 0.04]
        assert source.remarks.lines == ["its header states no frame times: 25 frames/s are assumed"]
    with open_source(stream(tmp_path / "s", FrameTime=20, NumberOfFrames=12)) as source:
        assert len(list(source)) == 10
        first, second = source.remarks.lines
    assert first.startswith("its header states 50.000 frames/s, its stream 25.000")
    assert second == "its header states 12 frames, its stream holds 10"


def test_fragments_are_joined_by_the_table_of_offsets(tmp_path):
    path = video(tmp_path / "v", [picture(n) for n in range(3)])
    found = dcmread(path)
    frames = list(generate_fragments(found.PixelData, endianness="<"))[1:]
    found.PixelData = encapsulate(frames, fragments_per_frame=2)
    with open_source(save(found, tmp_path / "w")) as source:
        assert [code_of(frame.to_bgr()) for frame in source] == [0, 1, 2]
    found.PixelData = encapsulate(frames, fragments_per_frame=2, has_bot=False)
    with pytest.raises(InputError, match="6 fragments for 3 frames, and no table of offsets"):
        open_source(save(found, tmp_path / "x"))


def test_a_stream_in_several_fragments(tmp_path):
    found = dcmread(stream(tmp_path / "s"))
    (content,) = list(generate_fragments(found.PixelData, endianness="<"))[1:]
    found.PixelData = encapsulate([content], fragments_per_frame=3)
    found.file_meta.TransferSyntaxUID = uid.MPEG4HP41F
    with open_source(save(found, tmp_path / "t")) as source:
        assert len(list(source)) == 10


def test_the_stream_itself_is_held_to_the_limit(tmp_path):
    path = stream(tmp_path / "b", clip=Clip(size=(640, 480), frames=2), Rows=64, Columns=64)
    with pytest.raises(InputError, match="640x480 pixels"):
        open_source(path, options=InputOptions(max_pixels=100_000))


def test_a_playlist_inside_an_object_opens_nothing(tmp_path):
    secret = make_clip(tmp_path / "secret.mp4", Clip(frames=3))
    found = dcmread(stream(tmp_path / "s"))
    text = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    found.PixelData = encapsulate([text + b"\n" * (len(text) % 2)])
    with pytest.raises(InputError, match=r"of a kind that is not read|not a video"):
        open_source(save(found, tmp_path / "t"))


def test_broken_times_and_counts(tmp_path):
    for keyword, value in (("FrameTime", -3), ("FrameTime", 1e9), ("FrameTimeVector", [0, 1, 2])):
        with pytest.raises(InputError, match=f"its {keyword} is missing or cannot be used"):
            open_source(video(tmp_path / "v", [BGR, BGR], **{"FrameTime": None, keyword: value}))
    with pytest.raises(InputError, match="fragments for 3 frames"):
        open_source(video(tmp_path / "v", [BGR, BGR], NumberOfFrames=3))
