"""Sources: where frames come from."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

from typing_extensions import Self

from rtpolyp.errors import InputError
from rtpolyp.video.frame import Frame
from rtpolyp.video.image_files import IMAGES, ImageFiles
from rtpolyp.video.live import Outage, PacketTap
from rtpolyp.video.stream import AudioTrack, StreamFormat
from rtpolyp.video.video_file import VideoFile

__all__ = ["LiveSource", "Outage", "PacketTap", "Source", "open_source"]

ISO = (".3gp", ".m4v", ".mov", ".mp4")
MATROSKA = (".mkv", ".webm")
MPEG = (".m2ts", ".mpeg", ".mpg", ".mts", ".ts", ".vob")
ELEMENTARY = (".264", ".265", ".h264", ".h265", ".hevc", ".mjpeg", ".mjpg", ".y4m")
OTHER = (".asf", ".avi", ".flv", ".mxf", ".ogv", ".wmv")
VIDEOS = frozenset(ISO + MATROSKA + MPEG + ELEMENTARY + OTHER)


class Source(Protocol):
    """Frames in display order, once; a context manager.

    Iterating raises InputError where the stream breaks off, after every frame before that.
    """

    @property
    def name(self) -> str:
        """What a person calls it: the name of the file or folder."""

    @property
    def path(self) -> Path | None:
        """The file or folder; None for a source without one."""

    @property
    def is_sequence(self) -> bool:
        """True when frames follow each other in time; False for images: each stands alone, of any size."""

    @property
    def format(self) -> StreamFormat | None:
        """What all frames share; None for images."""

    @property
    def size(self) -> tuple[int, int] | None:
        """(width, height) of the upright picture in pixels; None for images."""

    @property
    def frame_rate(self) -> Fraction | None:
        """Frames per second, the average where it varies; None for images."""

    @property
    def frame_count(self) -> int | None:
        """How many frames to expect, for a progress bar: containers state it, or it is an estimate."""

    @property
    def duration_seconds(self) -> float | None:
        """What the container states; None for images."""

    @property
    def audio(self) -> AudioTrack | None:
        """The sound that belongs to the picture."""

    def close(self) -> None:
        """Release the file; later calls do nothing."""

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class LiveSource(Source, Protocol):
    """Frames on their own clock, whether anybody takes them or not.

    Iterating blocks until a frame comes and goes on through outages: the source opens its input again by
    itself. Frames keep the size and colours of the first one, and their pts grow strictly, over a gap by
    the wall clock.
    """

    tap: PacketTap | None  # set before iterating

    @property
    def codec(self) -> str:
        """The video's codec as FFmpeg spells it: h264, mjpeg, rawvideo …"""

    @property
    def outage(self) -> Outage | None:
        """Why no frames come at present; None while they do."""

    def interrupt(self) -> None:
        """Make the iteration end within a second, from any thread, even where it waits for a frame."""


def open_source(path: str | Path) -> Source:
    """Open a video file, an image, or a folder of images.

    Raises InputError, one line that names the file and the remedy, when there is no such file, its
    extension is of no known kind, or nothing in it can be decoded.
    """
    path = Path(path)
    extension = path.suffix.lower()
    if not path.exists():
        raise InputError(f"{path}: no such file; give a video, an image or a folder of images")
    if path.is_dir() or extension in IMAGES:
        return ImageFiles(path)
    if extension in VIDEOS:
        return VideoFile(path)
    kinds = " ".join(sorted(known[1:] for known in VIDEOS | IMAGES))
    raise InputError(f"{path}: extension {extension!r} is of no known kind; rename it to one of {kinds}")
