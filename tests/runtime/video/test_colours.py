"""Grey, high dynamic range, and every matrix and range at 8 to 12 bits, against their definitions."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtpolyp.video.source import open_source
from tests.runtime.clips import Clip, make_clip, picture

SIZE = (160, 128)
LIMITED, FULL = 1, 2
# Red's and blue's weights in luma, by H.273's code of the matrix.
WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
ROUNDED = 1.6  # levels, mean: 8-bit samples at half the resolution of colour
TONES = 6.0  # levels, mean: libswscale's tables, and its own idea of highlights


def smooth() -> np.ndarray:
    """`(128, 160, 3) float64` RGB from 0 to 1 without edges, which 4:2:0 would blur."""
    x, y = np.meshgrid(np.linspace(0, 1, SIZE[0]), np.linspace(0, 1, SIZE[1]))
    return np.stack([0.25 + 0.6 * x, 0.2 + 0.4 * y, 0.45 - 0.25 * x], axis=-1)


def planes(rgb: np.ndarray, matrix: int, bits: int, colour_range: int) -> tuple[np.ndarray, ...]:
    """Y, U and V at full resolution as integers, by H.273's equations."""
    red, blue = WEIGHTS[matrix]
    luma = rgb @ np.array([red, 1 - red - blue, blue])
    chroma = [(rgb[..., 2] - luma) / (2 * (1 - blue)), (rgb[..., 0] - luma) / (2 * (1 - red))]
    unit = 1 << (bits - 8)
    scale, base = (219 * unit, 16 * unit) if colour_range == LIMITED else ((1 << bits) - 1, 0)
    spread = 224 * unit if colour_range == LIMITED else (1 << bits) - 1
    kind = np.uint8 if bits == 8 else np.uint16
    values = [luma * scale + base, *(part * spread + 128 * unit for part in chroma)]
    return tuple(np.round(value).astype(kind) for value in values)


def write(path: Path, parts, pixel_format: str, *, matrix: int, colour_range: int, primaries=2, transfer=2):
    """One lossless frame of these planes, with these tags."""
    with av.open(path, "w") as out:
        stream = out.add_stream("ffv1", rate=25)
        (stream.width, stream.height), stream.pix_fmt = SIZE, pixel_format
        frame = av.VideoFrame(*SIZE, pixel_format)
        for plane, part in zip(frame.planes, parts, strict=True):
            lines = np.zeros((plane.height, plane.line_size // part.itemsize), part.dtype)
            lines[:, : plane.width] = part[: plane.height, : plane.width]
            plane.update(lines.tobytes())
        for tagged in (stream.codec_context, frame):
            tagged.colorspace, tagged.color_range = matrix, colour_range
            tagged.color_primaries, tagged.color_trc = primaries, transfer
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux([*stream.encode(frame), *stream.encode(None)])
    return path


def shown(path: Path) -> tuple[np.ndarray, list[str]]:
    """RGB levels of the first frame, and the remarks."""
    with open_source(path) as source:
        return next(iter(source)).to_bgr()[..., ::-1].astype(float), source.remarks.lines


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", WEIGHTS)
def test_every_matrix_and_range_gives_its_colours(tmp_path, matrix, colour_range, bits):
    y, u, v = planes(smooth(), matrix, bits, colour_range)
    name = "yuv420p" if bits == 8 else f"yuv420p{bits}le"
    parts = y, u[::2, ::2], v[::2, ::2]
    path = write(tmp_path / "a.mkv", parts, name, matrix=matrix, colour_range=colour_range)
    rgb, remarks = shown(path)
    assert np.abs(rgb - 255 * smooth()).mean() < ROUNDED
    assert remarks == []


@pytest.mark.parametrize("layout", ["yuv422p", "yuv444p"])
@pytest.mark.parametrize("bits", [8, 10, 12])
def test_finer_chroma_gives_its_colours(tmp_path, layout, bits):
    y, u, v = planes(smooth(), 1, bits, FULL)
    if layout == "yuv422p":
        u, v = u[:, ::2], v[:, ::2]
    name = layout if bits == 8 else f"{layout}{bits}le"
    rgb, _ = shown(write(tmp_path / "a.mkv", (y, u, v), name, matrix=1, colour_range=FULL))
    assert np.abs(rgb - 255 * smooth()).mean() < ROUNDED


@pytest.mark.parametrize(("name", "bits"), [("gray", 8), ("gray10le", 10), ("gray12le", 12)])
@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
def test_grey_keeps_its_levels_in_either_range(tmp_path, name, bits, colour_range):
    ramp = np.tile(np.linspace(0, 1, SIZE[0])[:, np.newaxis], (SIZE[1], 1, 3))
    y, _, _ = planes(ramp, 1, bits, colour_range)
    rgb, remarks = shown(write(tmp_path / "a.mkv", (y,), name, matrix=1, colour_range=colour_range))
    assert np.abs(rgb - 255 * ramp).max() < 3  # 219 levels for 255, twice rounded
    assert remarks == []


def test_a_matrix_that_is_not_known_is_said(tmp_path):
    y, u, v = planes(smooth(), 1, 8, LIMITED)
    path = write(tmp_path / "a.mkv", (y, u[::2, ::2], v[::2, ::2]), "yuv420p", matrix=8, colour_range=LIMITED)
    _, remarks = shown(path)
    assert remarks == ["its colour matrix (code 8) is unknown: its colours are wrong"]


def pq(nits: np.ndarray) -> np.ndarray:
    """SMPTE ST 2084: light to signal."""
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def hlg(scene: np.ndarray) -> np.ndarray:
    """ITU-R BT.2100: scene light from 0 to 1 to signal."""
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_high_dynamic_range_looks_as_it_did_before_and_is_said(tmp_path, transfer, name):
    light = smooth() ** 2.4 @ TO_2020.T  # 1 is BT.2408's reference white, 203 nits
    if transfer == 16:
        signal = pq(203 * light)
    else:
        nits = 203 * light
        luma = nits @ np.array([0.2627, 0.6780, 0.0593])
        scene = nits / 1000 * ((luma / 1000) ** (1 / 1.2 - 1))[..., np.newaxis]
        signal = hlg(scene)
    y, u, v = planes(signal, 9, 10, LIMITED)
    tags = {"matrix": 9, "colour_range": LIMITED, "primaries": 9, "transfer": transfer}
    path = write(tmp_path / "a.mkv", (y, u[::2, ::2], v[::2, ::2]), "yuv420p10le", **tags)
    rgb, remarks = shown(path)
    assert remarks == [f"HDR ({name}), shown and analysed as BT.709"]
    assert np.abs(rgb - 255 * smooth()).mean() < TONES
    with open_source(path) as source:
        colour = source.format.colour
    assert (colour.matrix, colour.range, colour.primaries, colour.transfer) == (1, LIMITED, 1, 1)


def test_the_disc_is_seen_in_every_depth(tmp_path):
    bgr = picture(0, SIZE)
    y, u, v = planes(bgr[..., ::-1] / 255, 1, 10, LIMITED)
    path = write(tmp_path / "a.mkv", (y, u, v), "yuv444p10le", matrix=1, colour_range=LIMITED)
    rgb, _ = shown(path)
    assert np.abs(rgb[..., ::-1] - bgr).mean() < 2 * ROUNDED


@pytest.mark.parametrize("transfer", [9, 10, 11, 12])
def test_rare_transfer_tags_are_no_obstacle(tmp_path: Path, transfer: int):
    """libswscale refuses to convert some of them; a picture for the screen needs none."""
    shown = []
    for tag in (2, transfer):
        traits = Clip(frames=1, matrix=9, primaries=9, transfer=tag, colour_range=LIMITED)
        with open_source(make_clip(tmp_path / f"{tag}.mp4", traits)) as source:
            shown.append(next(iter(source)).to_bgr())
    np.testing.assert_array_equal(*shown)
