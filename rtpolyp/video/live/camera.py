"""Cameras: capture cards and USB devices, by the system's own interface."""

import sys
from pathlib import Path

import av

from rtpolyp.errors import InputError
from rtpolyp.video.input_options import InputOptions
from rtpolyp.video.live.faults import InputFault
from rtpolyp.video.live.feed import Feed

__all__ = ["feed_of_camera"]

# libav's name of each system's interface, and of its option for the pixel format.
INTERFACES = {
    "linux": ("video4linux2,v4l2", "input_format"),
    "darwin": ("avfoundation", "pixel_format"),
    "win32": ("dshow", "pixel_format"),
}


def feed_of_camera(address: str, options: InputOptions) -> Feed:
    """A capture device, by its number, on Linux by its node (`/dev/video0`), on Windows by `video=NAME`.

    Unplugged, it is opened again once it is back. Tried on Linux against devices that are missing and a
    simulated one that vanishes and returns, not on hardware; macOS and Windows not at all.
    """
    interface, format_option = INTERFACES.get(sys.platform, INTERFACES["linux"])
    device = _device(address)
    asked = {
        format_option: options.input_format,
        "video_size": options.video_size,
        "framerate": options.frame_rate,
    }
    settings = {name: value for name, value in asked.items() if value is not None}

    def open_input() -> av.container.InputContainer:
        try:
            return av.open(device, "r", format=interface, options=settings)
        except FileNotFoundError as exc:
            raise InputFault("no such device", _remedy()) from exc
        except av.FFmpegError:
            raise
        except ValueError as exc:  # PyAV's own
            raise InputFault(f"this FFmpeg has no {interface}", "install PyAV's wheel from PyPI") from exc

    return Feed(device, open_input)


def _remedy() -> str:
    present = sorted(map(str, Path("/dev").glob("video*")))
    return f"give one of {', '.join(present)}" if present else "plug one in: there is none in /dev"


def _device(address: str) -> str:
    """The name that libav's interface wants."""
    if not address.isdecimal():
        return address
    if sys.platform == "darwin":
        return f"{address}:none"  # no sound
    if sys.platform == "win32":
        raise InputError(f"{address}: devices have names here; give video=NAME as the device manager says it")
    return f"/dev/video{address}"
