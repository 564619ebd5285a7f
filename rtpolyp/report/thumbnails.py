"""Thumbnails of sightings, cut from the video that the run was about."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.bgr_overlay import draw_on_bgr
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import PICTURE_FRAMES, PictureFinder
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.report.examination import Examination
from rtpolyp.report.sightings import Sighting
from rtpolyp.settings import Settings
from rtpolyp.video.bgr_converter import BgrConverter
from rtpolyp.video.contract import Source
from rtpolyp.video.file_parts import keyframes_of, parts_around
from rtpolyp.video.frame import Frame
from rtpolyp.video.source import open_source
from rtpolyp.video.video_file import VideoFile

__all__ = ["take_thumbnails"]

MOST = 240  # thumbnails: of the longest sightings, so that a report stays below 5 MB
MOST_BYTES = 11_000  # of a thumbnail's JPEG
QUALITIES = (78, 62, 46, 30)  # the first that fits
WIDTH = 264  # pixels
WORST_OFFSET = 0.5  # frame intervals between a sighting's best frame and the video's nearest
LOOK = Settings(threshold=0.5, minimum_area=0.0, minimum_confidence=0.0)

OnProgress = Callable[[int, int | None], None]


def take_thumbnails(
    video: Path, run: Examination, *, deidentify: bool = False, on_progress: OnProgress | None = None
) -> dict[int, bytes]:
    """JPEGs of the longest sightings, by their number, with the polyp outlined.

    `video` is what the run was about, or its recording, which has the same times. Where its index names
    keyframes, it is decoded from those before the frames that are needed, and else from its start on. With
    `deidentify`, they show the endoscope's picture alone: the run's crop, or what is found; where no border
    is certain, there are none. `on_progress` is told how many sightings are done, and of how many. Raises
    InputError for a video that cannot be read, and for one of another size.
    """
    chosen = sorted(run.sightings, key=lambda one: -one.frames)[:MOST]
    border: Rect | None = None
    if deidentify and (border := _border(video, run)) is None:
        return {}
    with open_source(video) as source:
        _check_size(video, source, run)
        frames = _by_time(source, chosen) if run.is_stream else _by_name(source, chosen)
        found = {}
        for number, (frame, sightings) in enumerate(frames):
            for sighting in sightings:
                found[sighting.number] = _thumbnail(frame, sighting, border)
            if on_progress is not None and number % 25 == 0:
                on_progress(len(found), len(chosen))
    return found


def _check_size(video: Path, source: Source, run: Examination) -> None:
    if source.size != run.size:
        theirs, ours = (
            "images" if size is None else f"{size[0]}x{size[1]} pixels" for size in (source.size, run.size)
        )
        raise InputError(f"{video}: is of {theirs}, and the run was of {ours}; give the video of that run")


def _border(video: Path, run: Examination) -> Rect | None:
    """The endoscope's picture; None where no border is certain."""
    crop = run.header.get("crop")
    if isinstance(crop, Mapping):
        try:
            return Rect(*(int(crop[name]) for name in ("x", "y", "width", "height")))
        except (KeyError, TypeError, ValueError):
            return None
    if not run.is_stream or crop == "off":
        return None
    finder = PictureFinder()
    with open_source(video) as source:
        for frame in islice(source, PICTURE_FRAMES):
            finder.add(frame.luma())
    found = finder.picture()
    return None if run.size is None or found == Rect(0, 0, *run.size) else found


def _by_time(source: Source, chosen: Sequence[Sighting]) -> Iterator[tuple[Frame, list[Sighting]]]:
    """Each frame with the sightings that it shows best."""
    waiting = sorted(chosen, key=lambda one: one.best.pts_seconds)
    tolerance = WORST_OFFSET / float(source.frame_rate or 25)
    for frame in _frames_around(source, [one.best.pts_seconds for one in waiting], tolerance):
        if not waiting:
            return
        now = []
        while waiting and waiting[0].best.pts_seconds <= frame.pts_seconds + tolerance:
            sighting = waiting.pop(0)
            if frame.pts_seconds - sighting.best.pts_seconds <= tolerance:
                now.append(sighting)
        yield frame, now


def _frames_around(source: Source, times: Sequence[float], tolerance: float) -> Iterator[Frame]:
    """The frames at these times, in order, and others; of a file with an index, few others."""
    keyframes = keyframes_of(source.path) if isinstance(source, VideoFile) else ()
    if not (isinstance(source, VideoFile) and keyframes):
        yield from source
        return
    base = source.format.time_base
    stretches = [(floor((at - tolerance) / base), ceil((at + tolerance) / base) + 1) for at in times]
    for part in parts_around(keyframes, source.zero, stretches):
        with VideoFile(source.path, part=part) as stretch:
            yield from stretch


def _by_name(source: Source, chosen: Sequence[Sighting]) -> Iterator[tuple[Frame, list[Sighting]]]:
    """Each image with its sighting."""
    waiting = {sighting.best.name: sighting for sighting in chosen}
    for frame in source:
        sighting = waiting.pop(frame.name, None)
        yield frame, [] if sighting is None else [sighting]
        if not waiting:
            return


def _thumbnail(frame: Frame, sighting: Sighting, border: Rect | None) -> bytes:
    window = border or Rect(0, 0, *frame.size)
    width = min(WIDTH, window.width)
    height = max(1, round(window.height * width / window.width))
    bgr = BgrConverter(frame.native, window, (width, height))(frame.native)
    scale = np.array((width / window.width, height / window.height), np.float32)
    contour = (sighting.best.contour - np.array((window.x, window.y), np.float32)) * scale
    return _jpeg(draw_on_bgr(bgr, [_polyp(contour, (width, height))], LOOK))


def _polyp(contour: NDArray[np.float32], size: tuple[int, int]) -> Polyp:
    x, y, width, height = cv2.boundingRect(contour)
    return Polyp(Rect(x, y, width, height), 1.0, 1.0, contour, frame_size=size)


def _jpeg(bgr: NDArray[np.uint8]) -> bytes:
    data = b""
    for quality in QUALITIES:
        data = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= MOST_BYTES:
            break
    return data
