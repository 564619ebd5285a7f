"""Encoder: one H.264 stream for all who watch by WebRTC."""

from fractions import Fraction

import av
from av.video.frame import PictureType

from rtpolyp.web.hub import Picture

__all__ = ["TIME_BASE", "Encoder"]

TIME_BASE = Fraction(1, 90_000)  # seconds: RTP's
KEY_SECONDS = 1.0  # from key frame to key frame
# Constrained baseline, which every browser decodes; no frame waits for another. The rate is capped so that a
# picture of noise does not flood the viewers' networks.
OPTIONS = {
    "preset": "ultrafast",
    "tune": "zerolatency",
    "profile": "baseline",
    "crf": "23",
    "maxrate": "6M",
    "bufsize": "3M",
    "forced-idr": "1",
    "x264-params": "keyint=infinite:scenecut=0:deblock=1,0,0",
}


class Encoder:
    """Encodes pictures of any size, for one thread; each key frame carries all that a decoder needs."""

    def __init__(self) -> None:
        self._codec: av.VideoCodecContext | None = None
        self._size = (0, 0)
        self._key_at = 0.0
        self._pts = -1

    def __call__(self, picture: Picture, *, key: bool) -> tuple["av.Packet[av.VideoStream] | None", bool]:
        """A packet of this picture and whether it is a key frame; it is one where `key` asks for it."""
        if self._codec is None or picture.size != self._size:
            self._open(picture.size)
            key = True
        assert self._codec is not None
        key = key or picture.arrived - self._key_at >= KEY_SECONDS
        frame = av.VideoFrame.from_numpy_buffer(picture.planes, format="yuv420p")
        self._pts = max(self._pts + 1, round(picture.state["captured"] / TIME_BASE))
        frame.pts, frame.time_base = self._pts, TIME_BASE
        frame.pict_type = PictureType.I if key else PictureType.NONE
        if key:
            self._key_at = picture.arrived
        packets = self._codec.encode(frame)
        return (packets[0] if packets else None), key

    def _open(self, size: tuple[int, int]) -> None:
        codec = av.CodecContext.create("libx264", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.width, codec.height = self._size = size
        codec.pix_fmt, codec.time_base, codec.framerate = "yuv420p", TIME_BASE, Fraction(30)
        codec.thread_count, codec.options = 2, OPTIONS
        self._codec = codec
