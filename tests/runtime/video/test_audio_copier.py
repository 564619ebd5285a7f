"""The sound of a recording."""

import logging
from fractions import Fraction

import av
import numpy as np
import pytest

from rtpolyp.video.source import open_source
from rtpolyp.video.video_sink import VideoSink
from tests.runtime.clips import RATE, Clip, make_clip
from tests.runtime.video.test_video_sink import copy

AAC_FRAME = 1024 / RATE  # seconds


def sound(path):
    """Codec, first and last time in seconds, and samples `(N,) float32` of the first channel."""
    with av.open(path) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
    samples = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    return stream.codec_context.name, frames[0].time, frames[-1].time + frames[-1].samples / RATE, samples


def pitch(samples) -> float:
    """The strongest frequency in Hz."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE / len(samples))


CODECS = [
    ("aac", "clip.mp4", "aac", True),
    ("libmp3lame", "clip.mp4", "mp3float", True),
    ("libopus", "clip.mkv", "opus", True),
    ("pcm_s16le", "clip.mkv", "aac", False),
    ("ac3", "clip.mkv", "aac", False),
    ("aac", "clip.ts", "aac", False),  # no header, so it cannot be copied
]


@pytest.mark.parametrize(("given", "name", "taken", "copied"), CODECS)
def test_sound_is_copied_or_becomes_aac(tmp_path, given, name, taken, copied):
    clip = make_clip(tmp_path / name, Clip(frames=50, audio=given))
    copy(clip, tmp_path / "out.mp4")
    codec, start, end, samples = sound(tmp_path / "out.mp4")
    assert codec == taken
    assert start == pytest.approx(0, abs=2 * AAC_FRAME)
    assert end == pytest.approx(2.0, abs=3 * AAC_FRAME)
    assert pitch(samples) == pytest.approx(440, abs=2)
    if copied:
        with av.open(clip) as container:
            packets = {bytes(packet) for packet in container.demux(audio=0)}
        with av.open(tmp_path / "out.mp4") as container:
            assert {bytes(packet) for packet in container.demux(audio=0)} <= packets


def test_sound_stays_in_step_with_a_late_picture(tmp_path):
    clip = Clip(frames=50, start=64_000, time_base=Fraction(1, 12_800), audio="pcm_s16le", audio_start=5.5)
    copy(make_clip(tmp_path / "late.mkv", clip), tmp_path / "out.mp4")
    _, start, end, _ = sound(tmp_path / "out.mp4")
    assert start == pytest.approx(0.5, abs=2 * AAC_FRAME)  # the picture begins at zero
    assert end == pytest.approx(2.0, abs=2 * AAC_FRAME)


def test_sound_ends_with_the_last_frame_of_a_stopped_run(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=100, audio="aac"))
    with open_source(clip) as source, VideoSink(tmp_path / "out.mp4", source) as sink:
        for frame in source:
            sink.write(frame)
            if frame.index == 24:
                break
    _, _, end, _ = sound(tmp_path / "out.mp4")
    assert end == pytest.approx(1.0, abs=2 * AAC_FRAME)


def test_sound_is_written_as_the_picture_goes(tmp_path):
    clip = make_clip(tmp_path / "clip.mp4", Clip(frames=100, audio="aac"))
    copy(clip, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        ahead, reached = 0.0, {"audio": 0.0, "video": 0.0}
        for packet in container.demux():
            if packet.pts is not None:
                reached[packet.stream.type] = float(packet.pts * packet.time_base)
                ahead = max(ahead, reached["audio"] - reached["video"])
    assert ahead < 0.6  # one fragment


def test_sound_can_be_left_out(tmp_path):
    copy(make_clip(tmp_path / "clip.mp4", Clip(audio="aac")), tmp_path / "out.mp4", audio=False)
    with av.open(tmp_path / "out.mp4") as container:
        assert not container.streams.audio


def test_mono_and_low_rates_are_kept(tmp_path):
    path = tmp_path / "phone.mov"
    with av.open(path, "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 128, "yuv420p"
        audio = container.add_stream("pcm_mulaw", rate=8000, layout="mono")
        for index in range(25):
            frame = av.VideoFrame(160, 128, "yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(video.encode(frame))
        tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
        samples = av.AudioFrame.from_ndarray(tone[np.newaxis], format="s16", layout="mono")
        samples.sample_rate, samples.pts, samples.time_base = 8000, 0, Fraction(1, 8000)
        container.mux([*audio.encode(samples), *audio.encode(None), *video.encode(None)])
    copy(path, tmp_path / "out.mp4")
    with av.open(tmp_path / "out.mp4") as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", 8000, 1)


def test_damaged_sound_is_skipped_with_a_warning(tmp_path, caplog):
    clip = make_clip(tmp_path / "clip.mov", Clip(frames=50, audio="ac3"))
    data = bytearray(clip.read_bytes())
    with av.open(clip) as container:
        packets = [packet for packet in container.demux(audio=0) if packet.size]
    for packet in packets[20:30]:
        data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    clip.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        frames = copy(clip, tmp_path / "out.mp4")
    assert len(frames) == 50
    warnings = [record.message for record in caplog.records if "its sound is damaged" in record.message]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{clip.name}: ")
    _, _, end, _ = sound(tmp_path / "out.mp4")
    assert end > 1.9
