"""Inputs that are named, sized or cropped in ways one does not think of."""

from fractions import Fraction

import av
import numpy as np
import pytest
from av.bitstream import BitStreamFilterContext
from PIL import Image

from rtpolyp.errors import InputError
from rtpolyp.video.source import open_live, open_source
from tests.runtime.clips import Clip, code_of, make_clip, picture
from tests.runtime.red_disc import disc


def write(path, size=(64, 48)):
    Image.fromarray(disc(0, size)[:, :, ::-1].copy()).save(path, "JPEG" if path.suffix == ".jfif" else None)
    return path


def test_a_picture_too_small_for_a_network_is_left_out_and_the_others_are_read(tmp_path):
    for name, size in (("a.png", (64, 48)), ("b.png", (8, 8)), ("c.png", (64, 48))):
        write(tmp_path / name, size)
    with open_source(tmp_path) as source:
        assert [frame.name for frame in source] == ["a", "c"]
    (line,) = source.skipped
    assert line.endswith("b.png: a picture of 8x8 pixels, and 16x16 are the least; give a larger one")


def test_a_video_too_small_for_a_network_is_refused(tmp_path):
    clip = make_clip(tmp_path / "small.mkv", Clip(size=(8, 8), codec="ffv1", options={}))
    for open_one in (open_source, open_live):
        with pytest.raises(InputError, match="has 8x8 pixels, and 16x16 are the least"):
            open_one(clip)


def test_what_a_browser_saves_as_jfif_is_a_jpeg(tmp_path):
    write(tmp_path / "a.jfif")
    with open_source(tmp_path) as source:
        assert [frame.size for frame in source] == [(64, 48)]


def test_videos_among_images_are_said(tmp_path):
    write(tmp_path / "a.png")
    make_clip(tmp_path / "v.mp4", Clip(frames=2))
    with open_source(tmp_path) as source:
        assert len(list(source)) == 1
    assert source.remarks.lines == [
        "1 of its files are videos and left out, e.g. v.mp4; run each by itself, or all by rtpolyp batch"
    ]


def test_a_folder_of_videos_is_answered_with_what_takes_them(tmp_path):
    make_clip(tmp_path / "v.mp4", Clip(frames=2))
    with pytest.raises(InputError, match=r"but videos; give one of them, e\.g\. .*v\.mp4, .*rtpolyp batch"):
        open_source(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\0\0\0\x18ftypheic" + bytes(99), "holds HEIC, which is not read; convert it to PNG or JPEG"),
        (b"\0\0\0\x18ftypisom" + bytes(99), r"holds a video; name it after what it is, e\.g\. \*\.mp4"),
        (b"\x1aE\xdf\xa3" + bytes(99), "holds a video"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(99), "holds a video"),
        (b"\0\0\0\x18ftypavif" + bytes(99), "not a readable image"),
        (
            b"II*\0" + bytes(99),
            "not a readable image: a cut TIFF, or one of a kind like floating point; export",
        ),
        (b"nothing of the kind", "not a readable image"),
    ],
)
def test_a_file_named_jpg_that_is_something_else_is_named(tmp_path, content, message):
    (tmp_path / "a.jpg").write_bytes(content)
    with open_source(tmp_path / "a.jpg") as source, pytest.raises(InputError, match=message):
        list(source)


@pytest.mark.parametrize("name", ["clip.mjpeg", "clip.mjpg"])
def test_a_stream_of_jpegs_without_a_container_is_read(tmp_path, name):
    made = Clip(frames=6, codec="mjpeg", pixel_format="yuvj420p", options={}, time_base=Fraction(1, 25))
    with av.open(make_clip(tmp_path / "clip.avi", made)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0)]
    (tmp_path / name).write_bytes(b"".join(packets))
    with open_source(tmp_path / name) as source:
        assert [code_of(frame.to_bgr()) for frame in source] == list(range(6))


def test_a_crop_on_the_left_is_done_to_the_pixel(tmp_path):
    with (
        av.open(make_clip(tmp_path / "whole.mp4", Clip(frames=3))) as source,
        av.open(tmp_path / "cropped.mp4", "w") as cropped,
    ):
        stream = source.streams.video[0]
        target = cropped.add_stream_from_template(stream)
        crop = BitStreamFilterContext("h264_metadata=crop_left=16:crop_top=8", stream, target)
        for packet in source.demux(stream):
            for filtered in crop.filter(packet if packet.size else None):
                filtered.stream = target
                cropped.mux(filtered)
    with open_source(tmp_path / "cropped.mp4") as source:
        frames = list(source)
    assert [frame.size for frame in frames] == [(144, 120)] * 3
    assert np.abs(frames[0].to_bgr().astype(int) - picture(0)[8:, 16:]).mean() < 5


def test_a_playlist_that_is_no_text_is_refused(tmp_path):
    make_clip(tmp_path / "part.ts", Clip(frames=3))
    (tmp_path / "list.m3u8").write_bytes(b"#EXTM3U\n#EXTINF:1,\npa\xff\xfert.ts\n#EXT-X-ENDLIST\n")
    with pytest.raises(InputError, match="its playlist is no text in UTF-8; save it so, or give"):
        open_source(tmp_path / "list.m3u8")
