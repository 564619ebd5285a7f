"""Video files as sources: order, time, orientation, scanning, pixel formats."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtpolyp.video.contract import Source
from rtpolyp.video.frame_normaliser import FrameNormaliser
from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, code_of, make_clip, picture

# Mean levels between a decoded frame and its picture. H.264 at CRF 12 costs one, 4:2:0 at hard edges another;
# a wrong matrix or an upside-down picture costs ten and more.
LOSSY = 3.0


def frames_of(source: Source):
    with source:
        return list(source)


def test_frames_come_in_display_order_with_their_pts(tmp_path):
    path = make_clip(tmp_path / "b.mp4", Clip(frames=30, options={"preset": "medium", "bf": "3"}))
    with open_source(path) as source:
        frames = list(source)
    assert [code_of(frame.to_bgr()) for frame in frames] == list(range(30))
    assert [frame.index for frame in frames] == list(range(30))
    assert [frame.pts for frame in frames] == [512 * i for i in range(30)]
    assert {frame.time_base for frame in frames} == {Fraction(1, 12_800)}
    assert frames[25].pts_seconds == 1.0
    assert frames[3].name == "000003"
    assert frames[0].captured_at <= frames[-1].captured_at
    assert all(frame.native.format.name == "yuv420p" for frame in frames)
    assert np.abs(frames[9].to_bgr().astype(int) - picture(9)).mean() < LOSSY


def test_it_says_what_the_stream_is(tmp_path):
    clip = Clip(
        matrix=1, primaries=1, transfer=1, colour_range=2, pixel_format="yuvj420p", aspect=Fraction(4, 3)
    )
    with open_source(make_clip(tmp_path / "clip.mp4", clip)) as source:
        assert source.name == "clip.mp4"
        assert source.path == tmp_path / "clip.mp4"
        assert source.is_sequence
        assert source.size == (160, 128)
        assert source.frame_rate == 25
        assert source.frame_count == 25
        assert source.duration_seconds == 1.0
        assert source.audio is None
        assert source.format.time_base == Fraction(1, 12_800)
        assert source.format.sample_aspect_ratio == Fraction(4, 3)
        assert source.format.pixel_format == "yuvj420p"
        colour = source.format.colour
        assert (colour.matrix, colour.range, colour.primaries, colour.transfer) == (1, 2, 1, 1)
        frame = next(iter(source))
        assert frame.full_range
        assert np.abs(frame.to_bgr().astype(int) - picture(0)).mean() < LOSSY


def test_a_container_without_a_count_gives_an_estimate(tmp_path):
    with open_source(make_clip(tmp_path / "clip.mkv", Clip(frames=40))) as source:
        assert source.frame_count == 40


def test_variable_frame_rate_keeps_every_pts(tmp_path):
    pts = [0, 40, 80, 250, 251, 900, 940]
    path = make_clip(tmp_path / "vfr.mkv", Clip(pts=pts, time_base=Fraction(1, 1000)))
    assert [frame.pts for frame in frames_of(open_source(path))] == pts


def test_frames_without_pts_are_spaced_by_the_frame_rate(tmp_path):
    frames = frames_of(open_source(make_clip(tmp_path / "raw.h264", Clip(frames=10))))
    assert [frame.pts_seconds for frame in frames] == pytest.approx([i / 25 for i in range(10)])


TURNED = {  # (degrees counter-clockwise, mirrored before) → what the display matrix does to a picture
    (0, False): lambda bgr: bgr,
    (90, False): lambda bgr: np.rot90(bgr),
    (180, False): lambda bgr: np.rot90(bgr, 2),
    (-90, False): lambda bgr: np.rot90(bgr, -1),
    (0, True): lambda bgr: bgr[:, ::-1],
    (90, True): lambda bgr: np.rot90(bgr[:, ::-1], -1),
    (180, True): lambda bgr: bgr[::-1],
    (-90, True): lambda bgr: np.rot90(bgr[:, ::-1]),
}


@pytest.mark.parametrize(("rotation", "mirrored"), TURNED)
def test_frames_come_out_upright(tmp_path, rotation, mirrored):
    clip = Clip(rotation=rotation, mirrored=mirrored, size=(160, 96), frames=2, aspect=Fraction(4, 3))
    with open_source(make_clip(tmp_path / "turned.mp4", clip)) as source:
        frame = next(iter(source))
    upright = TURNED[rotation, mirrored](picture(0, clip.size))
    assert source.size == frame.size == (upright.shape[1], upright.shape[0])
    assert np.abs(frame.to_bgr().astype(int) - upright).mean() < LOSSY
    on_its_side = rotation in (90, -90)
    assert source.format.sample_aspect_ratio == (Fraction(3, 4) if on_its_side else Fraction(4, 3))
    assert (frame.luma()[:, :8].strides[0]) > 0


def comb(luma) -> float:
    """How much lines differ from their neighbours beyond what those differ from each other."""
    lines = luma.astype(int)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


def test_interlaced_frames_are_deinterlaced(tmp_path):
    clip = Clip(interlaced=True, frames=12)
    path = make_clip(tmp_path / "fields.mp4", clip)
    with av.open(path) as container:
        woven = [frame.to_ndarray()[: clip.size[1]] for frame in container.decode(video=0)]
    frames = frames_of(open_source(path))
    assert [frame.pts for frame in frames] == [512 * i for i in range(12)]
    assert {frame.time_base for frame in frames} == {Fraction(1, 12_800)}
    assert {frame.native.duration for frame in frames} == {512}
    assert [code_of(frame.to_bgr()) for frame in frames[::2]] == list(range(0, 12, 2))
    calm = comb(frames_of(open_source(make_clip(tmp_path / "lines.mp4", Clip(frames=12))))[6].luma())
    assert comb(woven[6]) > 2 * calm  # or this test would test nothing
    assert comb(frames[6].luma()) < 1.2 * calm


def test_a_change_of_pixel_format_loses_no_frame(tmp_path):
    normaliser, out = FrameNormaliser(), []
    for name, clip in (("a", Clip(frames=4, interlaced=True)), ("b", Clip(frames=4, pixel_format="yuv422p"))):
        with av.open(make_clip(tmp_path / f"{name}.mp4", clip)) as container:
            for native in container.decode(video=0):
                out += normaliser(native)
    out += normaliser.flush()
    assert [code_of(native.to_ndarray(format="bgr24")) for native in out] == [0, 1, 2, 3] * 2
    assert {native.format.name for native in out} == {"yuv420p"}


def test_progressive_frames_are_not_copied(tmp_path):
    with open_source(make_clip(tmp_path / "clip.mp4")) as source:
        native = next(iter(source)).native
    assert any(entry.type.name == "SEI_UNREGISTERED" for entry in native.side_data)  # x264's, lost by filters


FORMATS = [
    ("libx264", "yuv422p", "clip.mp4", "yuv420p"),
    ("libx264", "yuv444p", "clip.mp4", "yuv420p"),
    ("libx264", "yuv420p10le", "clip.mp4", "yuv420p"),
    ("libx264", "yuvj444p", "clip.mp4", "yuvj420p"),
    ("mjpeg", "yuvj422p", "clip.avi", "yuvj420p"),
    ("rawvideo", "nv12", "clip.avi", "yuv420p"),
    ("rawvideo", "bgr24", "clip.avi", "yuv420p"),
    ("ffv1", "bgr0", "clip.mkv", "yuv420p"),
]


@pytest.mark.parametrize(("codec", "given", "name", "taken"), FORMATS)
def test_every_pixel_format_becomes_planar_420(tmp_path, codec, given, name, taken):
    base = Fraction(1, 1000) if name.endswith("mkv") else Fraction(1, 25)
    options = {"crf": "12"} if codec == "libx264" else {"qmax": "2"} if codec == "mjpeg" else {}
    clip = Clip(codec=codec, pixel_format=given, options=options, time_base=base, frames=3)
    with open_source(make_clip(tmp_path / name, clip)) as source:
        frames = list(source)
    assert len(frames) == 3
    assert {frame.native.format.name for frame in frames} == {taken} == {source.format.pixel_format}
    assert frames[2].full_range is (taken == "yuvj420p")
    assert np.abs(frames[2].to_bgr().astype(int) - picture(2)).mean() < LOSSY


def test_the_sound_is_found(tmp_path):
    path = make_clip(tmp_path / "clip.mp4", Clip(audio="aac"))
    with open_source(path) as source:
        assert source.audio is not None
        assert source.audio.stream.index == 1


def test_a_name_that_looks_like_an_address_is_a_file(tmp_path):
    path = make_clip(tmp_path / "plain.mp4", Clip(frames=2)).rename(tmp_path / "pipe:0 100%d.mp4")
    assert len(frames_of(open_source(path))) == 2


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "frames", "size"),
    [
        ("polyp_seq1_raw_560x480_25fps.mp4", 53, (560, 480)),
        ("cvc612_test_sequences_384x288_25fps.mp4", 61, (384, 288)),
    ],
)
def test_real_clips_decode(data_dir: Path, name, frames, size):
    with open_source(data_dir / "videos" / name) as source:
        assert source.size == size
        assert source.frame_count == frames
        assert [frame.pts_seconds for frame in source] == pytest.approx([i / 25 for i in range(frames)])
