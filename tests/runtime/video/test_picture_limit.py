"""Pictures that declare more pixels than the limit are refused before one is decoded."""

import struct
import subprocess
import sys
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.picture_limit import limit_pixels
from rtpolyp.video.source import open_live, open_source
from tests.runtime.clips import Clip, make_clip

SMALL = InputOptions(max_pixels=160 * 128)
HUGE = (8000, 4400)


def write_huge(path: Path) -> Path:
    """One black picture of more than 8K, in some 10 kB."""
    with av.open(path, "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = *HUGE, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(*HUGE, "yuv420p")))
        container.mux(stream.encode(None))
    return path


def test_a_video_beyond_8k_is_refused(tmp_path: Path):
    path = write_huge(tmp_path / "huge.mp4")
    message = (
        r"huge\.mp4: it declares 8000x4400 pixels, and 33,177,600 are allowed; scale it down, or .*--max"
    )
    for open_it in (open_source, open_live):
        with pytest.raises(InputError, match=message):
            open_it(path)
    with open_source(path, options=InputOptions(max_pixels=8000 * 4400)) as source:
        assert source.size == HUGE


def test_the_limit_itself_is_allowed(tmp_path: Path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=3, size=(160, 128)))
    with open_source(clip, options=SMALL) as source:
        assert len(list(source)) == 3
    with pytest.raises(InputError, match="declares 160x128 pixels, and 20,479 are allowed"):
        open_source(clip, options=InputOptions(max_pixels=160 * 128 - 1))


def test_a_decoder_refuses_what_a_stream_grows_to(tmp_path: Path):
    small, large = (
        make_clip(tmp_path / f"{width}.h264", Clip(frames=5, size=(width, height)))
        for width, height in ((160, 128), (640, 512))
    )
    with av.open(small) as begun, av.open(large) as grown:
        limit_pixels(begun.streams.video[0], SMALL.max_pixels)
        codec = begun.streams.video[0].codec_context
        assert sum(len(codec.decode(packet)) for packet in begun.demux() if packet.size) > 0
        first = next(grown.demux())
        with pytest.raises(av.InvalidDataError):
            codec.decode(first)


LOOKED_AT = """
import resource, sys
from rtpolyp.errors import InputError
from rtpolyp.video.source import open_source
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    open_source(sys.argv[1])
except InputError as exc:
    print(exc, file=sys.stderr)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_a_picture_that_hides_its_size_takes_no_memory_while_it_is_looked_at(tmp_path: Path):
    """A PNG of 144 megapixels in a container that says 64x64."""
    side = 12_000
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes((side + 1) * side), 1)),
        (b"IEND", b""),
    ]
    data = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in chunks
    )
    path = tmp_path / "hidden.mov"
    with av.open(path, "w") as container:
        stream = container.add_stream("png", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "rgb24"
        packet = av.Packet(data)
        packet.stream, packet.pts, packet.dts, packet.time_base = stream, 0, 0, Fraction(1, 25)
        container.mux(packet)
    command = [sys.executable, "-c", LOOKED_AT, path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "hidden.mov: holds no frame that can be decoded" in done.stderr
    assert int(done.stdout) < 60  # MiB; a picture takes 137


def test_an_image_is_refused(tmp_path: Path):
    Image.fromarray(np.zeros((129, 160, 3), np.uint8)).save(tmp_path / "a.png")
    with (
        open_source(tmp_path, options=SMALL) as source,
        pytest.raises(InputError, match=r"a\.png: declares 160x129"),
    ):
        list(source)


def test_a_limit_that_is_none_is_refused():
    with pytest.raises(InputError, match=r"max_pixels 0 is outside .*: give pixels"):
        InputOptions(max_pixels=0)
