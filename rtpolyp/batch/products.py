"""Products: the files that a batch writes of each video once its chunks are joined."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rtpolyp.batch.job import Job, Video
from rtpolyp.batch.storage import Storage
from rtpolyp.batch.summary import VideoSummary, summarise
from rtpolyp.batch.tables import FoundFrame, read_video
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.mask_outline import Outline
from rtpolyp.imaging.overlay import draw_overlay
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.labels.coco_file import COCO_FILE, write_coco
from rtpolyp.labels.model import LabelledFrame, Labels, Region
from rtpolyp.report.examination import Examination, examine
from rtpolyp.report.lines import FoundPolyp, Header, Line, Summary
from rtpolyp.report.page import render_page
from rtpolyp.report.thumbnails import take_thumbnails
from rtpolyp.settings import Settings
from rtpolyp.video.frame import Frame
from rtpolyp.video.video_file import VideoFile
from rtpolyp.video.video_sink import VideoSink

__all__ = ["PLACES", "Products"]

PLACES = {  # of each kind of file, by the video's name
    "frames": "frames/{}.parquet",
    "detections": "detections/{}.parquet",
    "overlay": "overlays/{}.mp4",
    "coco": f"coco/{{}}/{COCO_FILE}",
    "pages": "pages/{}.html",
}


class Products:
    """Writes into a job's folder; a video's tables come first, `detections` last of them.

    The others are made from the tables and the video, so that they can be asked for later as well.
    """

    def __init__(self, job: Job, storage: Storage, scratch: Path, settings: Settings) -> None:
        self._job, self._storage, self._scratch, self._settings = job, storage, scratch, settings

    def missing(self, video: Video) -> list[str]:
        """The kinds that are asked for and not there, without the tables."""
        asked = {"overlay": self._job.overlay, "coco": self._job.coco, "pages": self._job.pages}
        return [kind for kind, yes in asked.items() if yes and not self._storage.has(_place(kind, video))]

    def summary(self, video: Video) -> VideoSummary | None:
        """What the tables of the video say; None where they are not there, or are of another state of it.

        Raises InputError for tables of another version.
        """
        if not all(self._storage.has(_place(kind, video)) for kind in ("frames", "detections")):
            return None
        frames, seconds, about = self._read(video)
        if about["fingerprint"] != video.fingerprint(self._job.chunk_seconds):
            return None
        run = _examination(video, frames, seconds, about)
        return summarise(video.name, run, [frame.quality for frame in frames], about["problem"])

    def write_tables(self, video: Video, tables: Mapping[str, bytes]) -> None:
        """Write the video's tables; what was made of earlier ones goes."""
        for kind in ("detections", "overlay", "coco", "pages"):
            self._storage.discard(_place(kind, video))
        for kind in ("frames", "detections"):
            self._storage.write(_place(kind, video), tables[kind])

    def write(self, kind: str, video: Video, path: Path) -> None:
        """Write an overlay, COCO or a page; `path` is the video's file."""
        frames, seconds, about = self._read(video)
        name = _place(kind, video)
        if kind == "overlay":
            whole = self._scratch / "overlay.mp4"
            self._draw(path, whole, frames, about)
            self._storage.put(whole, name)
            whole.unlink()
        elif kind == "coco":
            write_coco(_labels(video, frames, about), self._scratch)
            self._storage.put(self._scratch / COCO_FILE, name)
            (self._scratch / COCO_FILE).unlink()
        else:
            run = _examination(video, frames, seconds, about)
            page = render_page(run, take_thumbnails(path, run))
            self._storage.write(name, page.encode("utf-8"))

    def _read(self, video: Video) -> tuple[list[FoundFrame], list[float], dict[str, Any]]:
        frames, detections = (self._storage.read(_place(kind, video)) for kind in ("frames", "detections"))
        return read_video(frames, detections, self._storage.path(_place("detections", video)))

    def _draw(self, path: Path, out: Path, frames: Sequence[FoundFrame], about: Mapping[str, Any]) -> None:
        """The video with the outlines of the tables, up to where it breaks off."""
        found = {frame.pts: frame for frame in frames}
        with VideoFile(path, self._job.options) as source, VideoSink(out, source) as sink:
            try:
                for frame in source:
                    known = found.get(frame.pts)
                    sink.write(frame if known is None else self._drawn(frame, known), None)
            except InputError:
                if about["problem"] is None:
                    raise

    def _drawn(self, frame: Frame, found: FoundFrame) -> Frame:
        if not found.polyps:
            return frame
        drawn, planes = frame.writable()
        polyps = [_polyp(polyp, frame.size) for polyp in found.polyps]
        draw_overlay(planes, polyps, self._settings, full_range=drawn.full_range)
        return drawn


def _place(kind: str, video: Video) -> str:
    return PLACES[kind].format(video.name)


def _polyp(polyp: Mapping[str, Any], size: tuple[int, int]) -> Polyp:
    contour = np.array(polyp["contour"], np.float32)
    return Polyp(
        Rect(*polyp["box"]), polyp["area"], polyp["confidence"], contour, polyp["track"], frame_size=size
    )


def _labels(video: Video, frames: Sequence[FoundFrame], about: Mapping[str, Any]) -> Labels:
    width, height = about["size"]
    labelled = tuple(
        LabelledFrame(
            index,
            f"{index:06d}.png",
            (width, height),
            tuple(
                Region(
                    Outline(np.array(polyp["contour"], np.float32)),
                    polyp["track"],
                    polyp["confidence"],
                )
                for polyp in frame.polyps
            ),
        )
        for index, frame in enumerate(frames)
    )
    return Labels(video.name, True, labelled)


def _examination(
    video: Video, frames: Sequence[FoundFrame], seconds: Sequence[float], about: Mapping[str, Any]
) -> Examination:
    """As a report reads it from a run's JSON lines."""
    threshold = float(about["settings"]["threshold"])
    width, height = about["size"]
    lines = (
        Line(f"{index:06d}", at, threshold, tuple(_found(polyp) for polyp in frame.polyps))
        for index, (frame, at) in enumerate(zip(frames, seconds, strict=True))
    )
    end = Summary({"frames": len(frames), "remarks": [about["problem"]] if about["problem"] else []})
    return examine([Header(about, (width, height)), *lines, end], video.name)


def _found(polyp: Mapping[str, Any]) -> FoundPolyp:
    contour = np.array(polyp["contour"], np.float32)
    return FoundPolyp(polyp["track"], polyp["confidence"], polyp["area"], contour)
