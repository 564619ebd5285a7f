"""Frames of DICOM videos in images/: an annotated one becomes an image, NAME-000012 by its index."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2

from rtpolyp.dicom.magic import is_dicom, require_dicom
from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS

__all__ = ["VideoFrame", "take_videos", "write_frames"]


class VideoFrame(NamedTuple):
    """A frame that may be annotated."""

    video: Path
    owner: str  # what the video is called
    number: int  # from 0
    image: Path  # where it is written, as a PNG


def take_videos(images: dict[str, Path], unpacked: Path) -> dict[str, VideoFrame]:
    """Take the videos out of `images`, stem → file; return their frames by name, to be files in `unpacked`.

    What is broken stays, and is refused where it is read.
    """
    frames: dict[str, VideoFrame] = {}
    for owner, video in list(images.items()):
        count = _count(video) if is_dicom(video) else 0
        for number in range(count):
            name = f"{owner}-{number:06d}"
            frames[name] = VideoFrame(video, owner, number, unpacked / f"{name}.png")
        if count:
            del images[owner]
    return frames


def write_frames(wanted: Sequence[VideoFrame]) -> None:
    """Write these frames, each video decoded once; raises InputError where one is missing."""
    from rtpolyp.video.source import open_source  # the only use of streams in training

    for video in dict.fromkeys(frame.video for frame in wanted):
        left = {frame.number: frame.image for frame in wanted if frame.video == video}
        with open_source(video) as source:
            for shown in source:
                if (path := left.pop(shown.index, None)) is not None:
                    path.write_bytes(cv2.imencode(".png", shown.to_bgr())[1].tobytes())
                if not left:
                    break
        if left:
            raise InputError(f"{video}: holds no frame {min(left)}, and it is annotated; export both again")


def _count(path: Path) -> int:
    """The frames of a video; 0 of a still, and of what cannot be read."""
    try:
        require_dicom(path)
        from rtpolyp.dicom.header import read_header  # of the extra

        found = read_header(path, max_pixels=MAX_PIXELS)
    except InputError:
        return 0
    return found.frames if found.is_video else 0
