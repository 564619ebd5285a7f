"""Which picture and which sound of a file are taken, and that no sound costs the picture."""

import logging
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.source import open_live, open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import Clip, make_clip, picture

SIZES = ((96, 64), (160, 128), (128, 96))
RATE = 48_000


def write(path: Path, *, sizes=((160, 128),), sounds=(), frames: int = 10, codec: str = "libx264") -> Path:
    """A file with pictures of `sizes`, and a sound for each (codec, layout, rate) of `sounds`."""
    with av.open(path, "w") as out:
        pictures = [out.add_stream(codec, rate=25) for _ in sizes]
        for stream, (stream.width, stream.height) in zip(pictures, sizes, strict=True):
            stream.pix_fmt = "yuv420p"
        tracks = [out.add_stream(name, rate=rate, layout=layout) for name, layout, rate in sounds]
        for index in range(frames):
            for stream, size in zip(pictures, sizes, strict=True):
                frame = av.VideoFrame.from_ndarray(picture(index, size), format="bgr24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                out.mux(stream.encode(frame))
        for track, (_, layout, rate) in zip(tracks, sounds, strict=True):
            channels = av.AudioLayout(layout).nb_channels
            tone = np.sin(2 * np.pi * 440 * np.arange(frames * rate // 25) / rate) / 4
            samples = np.repeat(tone[:, np.newaxis], channels, axis=1).reshape(1, -1)
            sound = av.AudioFrame.from_ndarray((samples * 32_767).astype(np.int16), "s16", layout)
            sound.sample_rate, sound.pts, sound.time_base = rate, 0, Fraction(1, rate)
            out.mux(track.encode(sound))
        for stream in (*pictures, *tracks):
            out.mux(stream.encode(None))
    return path


def recorded(path: Path, out: Path) -> tuple[int, list[str]]:
    with open_source(path) as source, VideoSink(out, source) as sink:
        for frame in source:
            sink.write(frame)
    return frame.index + 1, source.remarks.lines


@pytest.mark.parametrize(
    ("name", "codec"), [("pip.mp4", "libx264"), ("pip.mkv", "mpeg4"), ("pip.ts", "mpeg2video")]
)
def test_the_largest_picture_is_taken_and_said(tmp_path, caplog, name, codec):
    path = write(tmp_path / name, sizes=SIZES, codec=codec)
    with caplog.at_level(logging.WARNING), open_source(path) as source:
        assert source.size == (160, 128)
        assert len(list(source)) == 10
    said = "3 video streams: 0 (96x64), 1 (160x128), 2 (128x96); taking 1, --stream takes another"
    assert source.remarks.lines == [said]
    assert caplog.messages == [f"{name}: {said}"]


@pytest.mark.parametrize("opened", [open_source, open_live])
def test_another_picture_is_taken_when_asked_for(tmp_path, opened):
    path = write(tmp_path / "pip.mp4", sizes=SIZES)
    with opened(path, options=InputOptions(stream=2)) as source:
        assert source.size == (128, 96)
        assert len(list(source)) == 10
    assert source.remarks.lines == []


@pytest.mark.parametrize("opened", [open_source, open_live])
def test_a_stream_that_is_no_picture_fails(tmp_path, opened):
    path = write(tmp_path / "pip.mp4", sizes=SIZES[:2], sounds=[("aac", "stereo", RATE)])
    message = r"pip\.mp4: no video stream 2; --stream takes one of 0 \(96x64\), 1 \(160x128\)"
    with pytest.raises(InputError, match=message):
        opened(path, options=InputOptions(stream=2))


@pytest.mark.parametrize("name", ["two.mp4", "two.mkv", "two.ts"])
def test_the_first_sound_is_kept_and_said(tmp_path, name):
    path = write(tmp_path / name, sounds=[("aac", "mono", RATE), ("aac", "stereo", RATE)])
    frames, remarks = recorded(path, tmp_path / "out.mp4")
    assert frames == 10
    assert remarks == ["2 sound tracks; stream 1 is kept"]
    with av.open(tmp_path / "out.mp4") as container:
        (track,) = container.streams.audio
        assert track.channels == 1


SOUNDS = [
    ("a.mov", "pcm_s24le", "7.1", RATE),
    ("b.mov", "pcm_s16le", "5.1", 44_100),
    ("c.mkv", "pcm_s16le", "9 channels", RATE),
    ("d.mkv", "flac", "7.1", 96_000),
    ("e.avi", "pcm_s16le", "stereo", 22_050),
    ("f.avi", "pcm_alaw", "mono", 8_000),
    ("g.mkv", "ac3", "5.1", RATE),
    ("h.mp4", "aac", "7.1", RATE),
    ("i.mkv", "libopus", "5.1", RATE),
    ("j.ts", "mp2", "stereo", 32_000),
    ("k.mov", "alac", "stereo", 44_100),
    ("l.avi", "adpcm_ms", "stereo", 22_050),
    ("m.mkv", "pcm_f32le", "hexadecagonal", RATE),
    ("n.mov", "pcm_mulaw", "mono", 8_000),
]


@pytest.mark.parametrize(("name", "codec", "layout", "rate"), SOUNDS)
def test_no_sound_costs_the_picture(tmp_path, name, codec, layout, rate):
    path = write(tmp_path / name, sounds=[(codec, layout, rate)], codec="mpeg4")
    frames, remarks = recorded(path, tmp_path / "out.mp4")
    assert frames == 10
    with av.open(tmp_path / "out.mp4") as container:
        assert container.streams.video[0].duration * container.streams.video[0].time_base == Fraction(2, 5)
        heard = sum(
            frame.samples / frame.sample_rate for frame in container.decode(container.streams.audio[0])
        )
    assert remarks == [] if heard > 0.3 else "its sound" in remarks[0]


def custom_layout(path: Path, channels: int) -> Path:
    """PCM whose MOV lists its channels one by one: chan's bitmap becomes descriptions in unusual order."""
    write(path, sounds=[("pcm_s16le", f"{channels}c", RATE)])
    data = path.read_bytes()
    start = data.index(b"chan") - 4
    size = int.from_bytes(data[start : start + 4], "big")
    labels = [2, 1, 6, 5, 4, 3, 34, 33][:channels] if channels > 2 else [2, 1]
    body = b"chan" + bytes(4) + bytes(8) + len(labels).to_bytes(4, "big")
    body += b"".join(label.to_bytes(4, "big") + bytes(16) for label in labels)
    chan = (len(body) + 4).to_bytes(4, "big") + body
    grown = bytearray(data[:start] + chan + data[start + size :])
    for box in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"sowt", b"wave"):
        at = grown.rfind(box, 0, start)
        if at >= 0 and int.from_bytes(grown[at - 4 : at], "big") + at > start:
            length = int.from_bytes(grown[at - 4 : at], "big") + len(chan) - size
            grown[at - 4 : at] = length.to_bytes(4, "big")
    path.write_bytes(grown)
    return path


@pytest.mark.parametrize("channels", [2, 6, 8])
def test_channels_in_an_order_of_their_own_do_not_abort_the_process(tmp_path, channels):
    path = custom_layout(tmp_path / "odd.mov", channels)
    code = (
        "import sys; from pathlib import Path; from tests.runtime.video.test_streams import recorded;"
        "print(*recorded(Path(sys.argv[1]), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", code, str(path), str(tmp_path / "out.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path.cwd())
    assert (done.returncode, done.stdout) == (0, "10 []\n"), done.stderr
    with av.open(tmp_path / "out.mp4") as container:
        assert sum(frame.samples for frame in container.decode(audio=0)) > 0.35 * RATE


@pytest.mark.parametrize("suffix", [".ts", ".h264"])
def test_pixels_that_become_wider_are_said(tmp_path, suffix):
    parts = [
        make_clip(tmp_path / f"{index}{suffix}", Clip(frames=10, aspect=aspect))
        for index, aspect in enumerate((Fraction(1), Fraction(4, 3)))
    ]
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    with open_source(path) as source:
        assert len(list(source)) == 20
        assert "its pixels become 4/3 wide; they are taken as 1 throughout" in source.remarks.lines
    with open_source(parts[1]) as source:
        assert list(source)
        assert not source.remarks.lines
