"""Outputs and open_sinks: everything that a run can write, in one place for files and live sources.

A new format of output is its sink, a field and a line of FORMATS here, and a flag in `rtpolyp.cli.flags`.
"""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from rtpolyp.checks import require_bool
from rtpolyp.dicom.magic import is_dicom
from rtpolyp.errors import InputError
from rtpolyp.video.contract import Sink, Source
from rtpolyp.video.image_files import ImageFiles
from rtpolyp.video.json_sink import JsonSink, frames_in
from rtpolyp.video.png_sinks import ImageSink, MaskSink
from rtpolyp.video.video_sink import VideoSink

if TYPE_CHECKING:
    from rtpolyp.dicom.origin import Origin

__all__ = ["PATHS", "OpenSink", "Outputs", "open_sinks"]


@dataclass(frozen=True)
class Outputs:
    """Where the results of a run go; what is None is not written.

    Raises InputError where a field is no path, or `audio` neither a bool nor None, or `deidentify` no bool.
    """

    video: str | PathLike[str] | None = None  # MP4 of what is shown; PNGs in a folder for single images
    json: str | PathLike[str] | None = None  # JSON Lines: one for each frame that was analysed
    masks: str | PathLike[str] | None = None  # a folder of PNG masks; not of a live source
    raw: str | PathLike[str] | None = None  # a live source's stream as it comes, MP4 or Matroska
    snapshots: str | PathLike[str] | None = None  # a folder for what a live window's key s takes
    log: str | PathLike[str] | None = None  # JSON Lines: a live session's events
    audio: bool | None = None  # keep the sound: None keeps a file's; a live source's is kept in `raw` alone
    dicom_seg: str | PathLike[str] | None = None  # Segmentation object of a DICOM source
    dicom_video: str | PathLike[str] | None = None  # DICOM video with the overlay, of a DICOM video
    deidentify: bool = False  # of a file: black outside the endoscope's picture, and no name, date or sound

    def __post_init__(self) -> None:
        require_bool("deidentify", self.deidentify)
        if self.audio is not None and not isinstance(self.audio, bool):
            raise InputError(f" {self.audio!r}: give True, False or None", parameter="audio")
        for name in PATHS:
            value = getattr(self, name)
            is_path = isinstance(value, (str, PathLike)) and str(value) and "\0" not in str(value)
            if value is not None and not is_path:
                raise InputError(f" {value!r}: give the path of a file or folder, or None", parameter=name)

    def path(self, name: str) -> Path | None:
        """The path of one output, by its field."""
        value = getattr(self, name)
        return None if value is None else Path(os.path.expanduser(value))

    def written(self) -> tuple[Path, ...]:
        """The files and folders that hold a run's results: its recordings, then every other format."""
        names = dict.fromkeys(("video", "raw", *(one.name for one in FORMATS)))
        paths = (self.path(name) for name in names)
        return tuple(path for path in paths if path is not None)

    def check_for_file(self) -> None:
        """Raise InputError for an output that only a live source has, and for two in one place."""
        self._check_apart()
        self._refuse(("raw", "snapshots", "log"), "is for live sources; leave it out")
        if self.deidentify and self.audio:
            raise InputError(": the sound may name the patient; leave it out", parameter="audio")

    def check_for_live(self) -> None:
        """Raise InputError for an output or sound that a live source has not, and for two in one place."""
        self._check_apart()
        files = ("masks", "dicom_seg", "dicom_video")
        self._refuse(files, "a live source has none; record it, then run on the file")
        if self.deidentify:
            raise InputError(": is one of LiveOptions here; leave it out", parameter="deidentify")
        if self.audio and self.raw is None:
            raise InputError(
                ": the sound of a live source is kept in its raw recording alone; give raw, too",
                parameter="audio",
            )

    def _check_apart(self) -> None:
        taken: dict[Path, str] = {}
        for name in PATHS:
            path = self.path(name)
            if path is not None and (other := taken.setdefault(path.resolve(), name)) != name:
                raise InputError(
                    f" {path}: the same place as that of {other}; give each a place of its own",
                    parameter=name,
                )

    def _refuse(self, names: Sequence[str], reason: str) -> None:
        for name in names:
            if getattr(self, name) is not None:
                raise InputError(f": {reason}", parameter=name)


PATHS = tuple(field.name for field in fields(Outputs) if field.name not in ("audio", "deidentify"))


@dataclass(frozen=True)
class _Run:
    """What sinks need to know of a run."""

    source: Source
    header: Mapping[str, Any]
    counts: Callable[[], Mapping[Any, int]] | None
    times: Callable[[], Mapping[Any, Sequence[Sequence[float]]]] | None
    audio: bool
    resume: bool
    deidentify: bool

    @cached_property
    def origin(self) -> "Origin":
        """The DICOM object that is read, of which those written are made; raises InputError without one."""
        path = self.source.path
        if path is None or not is_dicom(path):
            raise InputError(
                f"{self.source.name}: no DICOM object, and the objects written refer to one; leave "
                "dicom_seg and dicom_video out, or run on a DICOM file"
            )
        from rtpolyp.dicom.origin import Origin  # of the extra, and it was needed to open the source

        return Origin.of(path, max_pixels=sys.maxsize, deidentify=self.deidentify)


class _Format(NamedTuple):
    """One format of output."""

    name: str  # the field of Outputs
    takes: Literal["pictures", "results"]  # of a live source: each picture shown, or each frame analysed
    open: Callable[[Path, _Run], Sink]


def _open_pictures(path: Path, run: _Run) -> Sink:
    return (
        VideoSink(path, run.source, audio=run.audio)
        if run.source.is_sequence
        else ImageSink(path, run.source)
    )


def _open_lines(path: Path, run: _Run) -> Sink:
    return JsonSink(path, run.header, run.source, counts=run.counts, times=run.times, resume=run.resume)


def _open_dicom_seg(path: Path, run: _Run) -> Sink:
    origin = run.origin
    from rtpolyp.dicom.segmentation import Network
    from rtpolyp.video.dicom_sinks import DicomSegSink

    network = Network(str(run.header["engine"]), str(run.header["rtpolyp"]))
    return DicomSegSink(path, run.source, origin, network)


def _open_dicom_video(path: Path, run: _Run) -> Sink:
    origin = run.origin
    from rtpolyp.video.dicom_sinks import DicomVideoSink

    return DicomVideoSink(path, run.source, origin)


FORMATS = (
    _Format("video", "pictures", _open_pictures),
    _Format("json", "results", _open_lines),
    _Format("masks", "results", lambda path, run: MaskSink(path, run.source)),
    _Format("dicom_seg", "results", _open_dicom_seg),
    _Format("dicom_video", "pictures", _open_dicom_video),
)


RESUMED = ("video", "json", "masks")  # the formats of which _finished knows what an earlier run has written


def _finished(outputs: Outputs) -> set[str]:
    """The names of the frames that every output has from an earlier run.

    Raises InputError for an output outside RESUMED, which would lose what it held.
    """
    for name, *_ in FORMATS:
        if name not in RESUMED and outputs.path(name) is not None:
            raise InputError(
                " is begun anew by each run, so an earlier run cannot go on; leave resume out", parameter=name
            )
    found: list[set[str]] = []
    for name in ("video", "masks"):
        if (folder := outputs.path(name)) is not None:
            pictures = folder.rglob("*.png") if folder.is_dir() else ()
            found.append({file.relative_to(folder).as_posix().removesuffix(".png") for file in pictures})
    if (path := outputs.path("json")) is not None:
        found.append(frames_in(path))
    return set.intersection(*found) if found else set()


class OpenSink(NamedTuple):
    """An output that is open."""

    path: Path
    takes: Literal["pictures", "results"]
    sink: Sink


def open_sinks(
    outputs: Outputs,
    source: Source,
    header: Mapping[str, Any],
    *,
    counts: Callable[[], Mapping[Any, int]] | None = None,
    times: Callable[[], Mapping[Any, Sequence[Sequence[float]]]] | None = None,
    resume: bool = False,
) -> list[OpenSink]:
    """Open the sinks that are asked for; the caller closes them.

    `header` is what the JSON's first line says of source, engine and versions; `counts` gives what a live
    session has counted, and `times` a run's histograms of times, for its last one. With `resume`, what an
    earlier run wrote stays, and `source`, an ImageFiles, leaves out the images that all outputs have. Raises
    OutputError or InputError where one cannot be opened; the others are closed then.
    """
    if resume:
        if not isinstance(source, ImageFiles):
            raise InputError(": is for folders of images, and this is none; leave it out", parameter="resume")
        source.leave_out(_finished(outputs))
    audio = outputs.audio is not False and not outputs.deidentify
    run = _Run(source, header, counts, times, audio, resume, outputs.deidentify)
    with ExitStack() as opened:
        sinks: list[OpenSink] = []
        for name, takes, open_one in FORMATS:
            if (path := outputs.path(name)) is not None:
                sinks.append(OpenSink(path, takes, open_one(path, run)))
                opened.callback(sinks[-1].sink.close)
        opened.pop_all()
    return sinks
