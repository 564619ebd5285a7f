"""InputOptions: how an input is opened and read."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rtpolyp.checks import require_bool, require_choice, require_number
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS

__all__ = ["Deinterlace", "InputOptions"]

Deinterlace = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class InputOptions:
    """What a user may say about an input; the defaults suit every one.

    Raises InputError where a field is not what its line says.
    """

    input_format: str | None = None  # of a camera: mjpeg, yuyv422, h264 …; the device's first by default
    video_size: str | None = None  # of a camera: WIDTHxHEIGHT
    frame_rate: str | None = None  # of a camera: frames per second, e.g. 30 or 30000/1001
    deinterlace: Deinterlace = "auto"  # auto: once a frame is marked as interlaced; on: take all for that
    stream: int | None = None  # index of the video stream to take; the largest picture by default
    audio: bool = False  # of a live source: give its sound to the tap as well
    max_pixels: int = MAX_PIXELS  # of a picture: what declares more is refused before it is decoded
    allowed_hosts: tuple[str, ...] = ()  # HOST or HOST:PORT: where redirects and playlists may lead besides
    stall_seconds: float = 2.0  # without a packet for so long, a live source counts as lost
    open_seconds: float = 10.0  # until the first picture of a live source

    def __post_init__(self) -> None:
        for name in ("input_format", "video_size", "frame_rate"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, str) or not value):
                raise InputError(f" {value!r}: give a text that the device offers, or None", parameter=name)
        require_choice("deinterlace", self.deinterlace, get_args(Deinterlace))
        require_bool("audio", self.audio)
        require_number("max_pixels", self.max_pixels, least=1, example="pixels, e.g. 7680 * 4320")
        for name in ("stall_seconds", "open_seconds"):
            require_number(name, getattr(self, name), above=0, below=math.inf, example="seconds, e.g. 10")
