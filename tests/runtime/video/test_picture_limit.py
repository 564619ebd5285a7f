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
from rtpolyp.video.access.allocations import limited_allocations
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.picture_limit import limit_pixels
from rtpolyp.video.source import open_live, open_source
from scripts.hostile.transport import FIRST_PID, H264, Multiplexer, huge_picture
from tests.runtime.clips import Clip, make_clip
from tests.runtime.video.access.ways import tcp

SMALL = InputOptions(max_pixels=160 * 128)
HUGE = (8000, 4400)
HUGER = (16_000, 16_000)  # of which one takes a GiB


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
import contextlib, resource, sys
from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_source
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
shown = 0
try:
    with open_source(sys.argv[1], options=InputOptions(stall_seconds=1.0)) as source:
        for frame in source:
            shown += 1
            if shown == int(sys.argv[2]) and hasattr(source, "interrupt"):
                break
except InputError as exc:
    print(exc, file=sys.stderr)
print(shown, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def look_at(source: object, most: int = 0) -> tuple[int, int, str]:
    """In a process of its own: pictures shown, `most` of a live one; MiB that it took; what was said."""
    command = [sys.executable, "-c", LOOKED_AT, str(source), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    shown, mib = done.stdout.split()
    return int(shown), int(mib), done.stderr


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
    shown, mib, said = look_at(path)
    assert "hidden.mov: holds no frame that can be decoded" in said
    assert (shown, mib < 60) == (0, True)  # a picture takes 137


def swelling(later: tuple[int, int], streams: int) -> bytes:
    """A transport stream of 20 small pictures, then of large ones, and then with more streams of such."""
    multiplexer, pids, small, large = Multiplexer(), [FIRST_PID], huge_picture(160, 128), huge_picture(*later)
    data = multiplexer.tables([(FIRST_PID, H264)])
    for number in range(20):
        data += multiplexer.unit(FIRST_PID, small, number / 25)
    for number in range(20, 30):
        data += b"".join(multiplexer.unit(pid, large, number / 25) for pid in pids)
        if len(pids) < streams:
            pids.append(pids[-1] + 1)
            data += multiplexer.tables((pid, H264) for pid in pids)
    return data


@pytest.mark.parametrize("way", ["file", "tcp"])
def test_a_stream_that_grows_on_its_way_goes_on_without(tmp_path: Path, way: str):
    data = swelling(HUGER, 1)
    path = tmp_path / "swelling.ts"
    path.write_bytes(data)
    if way == "file":
        shown, mib, _ = look_at(path)
        assert shown == 20
    else:
        with tcp(data) as address:  # it is connected to again and again, and grows each time
            shown, mib, _ = look_at(address, 50)
            assert shown == 50
    assert mib < 60  # a picture takes a thousand


def test_streams_that_come_later_take_bounded_memory(tmp_path: Path):
    path = tmp_path / "late.ts"
    path.write_bytes(swelling(HUGER, 4))
    shown, mib, said = look_at(path)
    assert "it declares 16000x16000 pixels, and 33,177,600 are allowed" in said
    assert (shown, mib < 700) == (0, True)  # without the bound it is 3,300


OPENED = """
import resource, sys
from pathlib import Path
from rtpolyp.video.access import allocations
from rtpolyp.video.access.opening import open_file
from rtpolyp.video.picture_limit import probing_limits
allocations.MOST_BYTES = int(sys.argv[2]) << 20
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
with open_file(Path(sys.argv[1]), probing_limits(7680 * 4320)) as container:
    sizes = {(one.width, one.height) for one in container.streams.video if one.width}
assert sizes == {(160, 128), (7680, 4320)}, sizes
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the process's memory is watched on Linux")
def test_streams_of_allowed_pictures_take_bounded_memory_in_all(tmp_path: Path):
    """Four streams of 8K take 430 MiB to look at; here 200 are allowed."""
    path = tmp_path / "late.ts"
    path.write_bytes(swelling((7680, 4320), 4))
    command = [sys.executable, "-c", OPENED, str(path), "200"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 300


def test_the_largest_bound_of_those_at_once_counts():
    def fits() -> bool:
        try:
            av.VideoFrame(4000, 4000, "gray")
        except MemoryError:
            return False
        return True

    with limited_allocations(10_000_000):
        assert not fits()
        with limited_allocations(20_000_000):
            assert fits()
        assert not fits()
    assert fits()


def test_a_container_of_many_streams_is_refused(tmp_path: Path):
    path = tmp_path / "many.mp4"
    with av.open(path, "w") as container:
        streams = [container.add_stream("mpeg4", rate=25) for _ in range(17)]
        for stream in streams:
            stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for stream in streams:
            container.mux([*stream.encode(av.VideoFrame(64, 64, "yuv420p")), *stream.encode(None)])
    message = r"many\.mp4: it has more than 16 streams, or more to read than memory takes; keep the video"
    for open_it in (open_source, open_live):
        with pytest.raises(InputError, match=message):
            open_it(path)


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
