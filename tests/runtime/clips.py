"""Frames and small clips made on the spot, by real encoders, for any test that needs a video."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

from rtpolyp.video.frame import Frame

__all__ = ["Clip", "code_of", "frame_of", "make_clip", "picture"]

CODE_BITS = 10  # a frame's index, in squares along the top edge: readable after any lossy codec
RATE = 48_000  # audio samples per second


def picture(index: int, size: tuple[int, int] = (160, 128)) -> NDArray[np.uint8]:
    """A frame `(height, width, 3) uint8 BGR`: colour ramps, a disc that moves, and the index as a code."""
    width, height = size
    bgr = _background(size).copy()
    centre = (width // 4 + 3 * index % (width // 2), height * 5 // 8)
    cv2.circle(bgr, centre, height // 6, (90, 120, 230), -1)
    side = width // CODE_BITS
    for bit in range(CODE_BITS):
        level = 230 if index >> bit & 1 else 20
        bgr[:side, bit * side : (bit + 1) * side] = level
    return bgr


@functools.cache
def _background(size: tuple[int, int]) -> NDArray[np.uint8]:
    x, y = np.meshgrid(np.linspace(0, 1, size[0]), np.linspace(0, 1, size[1]))
    return np.stack([40 + 60 * y, 60 + 80 * x, 110 + 100 * (1 - y)], axis=-1).astype(np.uint8)


def code_of(bgr: NDArray[np.uint8]) -> int:
    """The index that `picture` drew into a frame."""
    side = bgr.shape[1] // CODE_BITS
    bits = [bgr[side // 2, bit * side + side // 2].mean() > 125 for bit in range(CODE_BITS)]
    return sum(1 << bit for bit, lit in enumerate(bits) if lit)


def frame_of(
    bgr: NDArray[np.uint8],
    *,
    index: int = 7,
    encoded_as: str = "ITU601",
    matrix: int = 2,
    full: bool = False,
    tagged: bool = True,
) -> Frame:
    """A Frame of `(H, W, 3) uint8 BGR` at 25 fps; its samples follow `encoded_as`, its tags say `matrix`."""
    native = av.VideoFrame.from_ndarray(bgr, format="bgr24").reformat(
        format="yuv420p",
        dst_colorspace=encoded_as,
        dst_color_range="JPEG" if full else "MPEG",
        interpolation="AREA",
    )
    native.colorspace = matrix
    native.color_range = (2 if full else 1) if tagged else 0
    native.pts, native.time_base, native.duration = index, Fraction(1, 25), 1
    return Frame(native, index, index, Fraction(1, 25), time.monotonic(), f"{index:06d}")


@dataclass(frozen=True)
class Clip:
    """How a clip is encoded; the defaults are a plain 25 fps H.264 stream."""

    size: tuple[int, int] = (160, 128)  # (width, height), pixels
    frames: int = 25
    rate: Fraction = Fraction(25)  # frames per second
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: dict[str, str] = field(default_factory=lambda: {"preset": "ultrafast", "crf": "12"})
    container_options: dict[str, str] = field(default_factory=dict)
    time_base: Fraction = Fraction(1, 12_800)
    pts: Sequence[int] | None = None  # of each frame, in time_base; None: evenly spaced from start
    start: int = 0  # first pts, in time_base
    aspect: Fraction | None = None  # sample aspect ratio
    matrix: int = 2  # H.273 code points: 2 is unspecified
    primaries: int = 2
    transfer: int = 2
    colour_range: int = 0  # 0 unspecified, 1 limited, 2 full
    rotation: float = 0.0  # display matrix: degrees counter-clockwise
    mirrored: bool = False  # display matrix: flipped horizontally as well
    interlaced: bool = False  # bottom field first (as libx264 marks it), the top one is of the next picture
    audio: str | None = None  # codec of a 440 Hz tone
    audio_seconds: float | None = None  # None: as long as the picture
    audio_start: float = 0.0  # seconds


def make_clip(
    path: Path, clip: Clip | None = None, draw: Callable[[int, tuple[int, int]], NDArray[np.uint8]] = picture
) -> Path:
    """Encode `clip` into `path`; the name's extension chooses the container."""
    clip = clip or Clip()
    step = int(1 / clip.rate / clip.time_base)
    pts = clip.pts if clip.pts is not None else [clip.start + i * step for i in range(clip.frames)]
    with av.open(path, "w", container_options=clip.container_options) as container:
        video = _video_stream(container, clip)
        audio = container.add_stream(clip.audio, rate=RATE, layout="stereo") if clip.audio else None
        if audio is not None:
            seconds = clip.audio_seconds or float((pts[-1] + step - pts[0]) * clip.time_base)
            _encode_tone(container, audio, clip.audio_start, seconds)
        container.start_encoding()  # so that a clip without frames is a file, too
        for index, ticks in enumerate(pts):
            frame = _native(index, clip, draw)
            frame.pts, frame.time_base = ticks, clip.time_base
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
    return path


def _video_stream(container: av.container.OutputContainer, clip: Clip) -> av.VideoStream:
    video = container.add_stream(clip.codec, rate=clip.rate, options=dict(clip.options))
    video.width, video.height = clip.size
    video.pix_fmt = clip.pixel_format
    context = video.codec_context
    context.time_base = clip.time_base
    context.colorspace, context.color_range = clip.matrix, clip.colour_range
    context.color_primaries, context.color_trc = clip.primaries, clip.transfer
    if clip.aspect is not None:
        context.sample_aspect_ratio = clip.aspect
    if clip.interlaced:
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
    if clip.rotation or clip.mirrored:
        video.set_display_rotation(clip.rotation, hflip=clip.mirrored)
    return video


def _native(
    index: int, clip: Clip, draw: Callable[[int, tuple[int, int]], NDArray[np.uint8]]
) -> av.VideoFrame:
    bgr = draw(index, clip.size)
    if clip.interlaced:
        bgr = bgr.copy()
        bgr[0::2] = draw(index + 1, clip.size)[0::2]
    matrix = {1: "ITU709", 9: "BT2020"}.get(clip.matrix, "ITU601")
    full = clip.colour_range == 2 or clip.pixel_format.startswith("yuvj")
    frame = av.VideoFrame.from_ndarray(bgr, format="bgr24")
    return frame.reformat(
        format=clip.pixel_format, dst_colorspace=matrix, dst_color_range="JPEG" if full else "MPEG"
    )


def _encode_tone(
    container: av.container.OutputContainer, stream: av.AudioStream, start: float, seconds: float
) -> None:
    phase = 2 * np.pi * 440 * np.arange(int(seconds * RATE)) / RATE
    tone = np.repeat((8000 * np.sin(phase)).astype(np.int16)[np.newaxis], 2, axis=1)  # left, right, left …
    frame = av.AudioFrame.from_ndarray(tone, format="s16", layout="stereo")
    frame.sample_rate = RATE
    frame.pts, frame.time_base = int(start * RATE), Fraction(1, RATE)
    container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
