"""The flags that commands share, in groups."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import MAX_PIXELS
from rtpolyp.imaging.picture import Crop, parse_crop
from rtpolyp.inference.backend import AUTO
from rtpolyp.inference.backends import BACKENDS, PRECISIONS
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, known_bundles
from rtpolyp.inference.engine import Goal
from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.live_options import LiveOptions
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings, Style
from rtpolyp.spec import EngineSpec
from rtpolyp.video.input_options import Deinterlace, InputOptions
from rtpolyp.video.outputs import Outputs

__all__ = ["EngineFlags", "InputFlags", "LiveFlags", "OutputFlags", "PictureFlags", "Switch"]

Switch = Parameter(negative="")  # has no --no-…
ENGINE_HELP = (
    f"A bundle's name ({', '.join(known_bundles())}) or folder, a TensorRT plan's file, or a server's "
    f"grpc://HOST:PORT/MODEL (or grpcs, http, https); {DEFAULT_BUNDLE} by default."
)
BACKEND_HELP = f"auto takes the first that works here of {', '.join(BACKENDS)}."
PRECISION_HELP = f"auto, {', '.join(PRECISIONS)}; auto measures which is fastest on this processor, once."


@Parameter(name="*", group=Group("Output", sort_key=1))
@dataclass(frozen=True)
class OutputFlags:
    """Where results go.

    Parameters
    ----------
    output
        The MP4 to write; for images a folder, or for a single image a *.png. By default NAME.polyps.mp4 or
        NAME.polyps/ in the current folder, and nothing for a live source.
    json
        Write one line for each frame that was analysed: its pts, and its polyps with box, area, confidence
        and contour.
    masks
        Write a PNG mask for each frame into this folder; not for a live source.
    display
        Show the picture in a window; q or Esc ends the run.
    audio
        Keep the sound. By default that of a file is kept; that of a live source is kept only on request, in
        its raw recording.
    dicom_seg
        For a DICOM source, write a DICOM Segmentation with a segment for each track.
    dicom_video
        For a DICOM video, write a DICOM Video Endoscopic object with the overlay.
    deidentify
        Make everything outside the endoscope's picture black in all that is written, and leave out sound and
        the source's name; DICOM objects by the standard's basic profile.
    resume
        For a folder of images, leave out those that an earlier run has written to every output.
    keep_going
        Exit with 0 although some images of several could not be read; they are listed in any case.
    """

    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None
    json: Path | None = None
    masks: Path | None = None
    display: Annotated[bool, Switch] = False
    audio: bool | None = None
    dicom_seg: Path | None = None
    dicom_video: Path | None = None
    deidentify: Annotated[bool, Switch] = False
    resume: Annotated[bool, Switch] = False
    keep_going: Annotated[bool, Switch] = False

    def outputs(self, live: "LiveFlags | None" = None) -> Outputs:
        """As runs take them, with those of a live source where it is one."""
        if live is not None and (self.resume or self.keep_going):
            name = "resume" if self.resume else "keep_going"
            raise InputError(": is for folders of images; leave it out", parameter=name)
        beside = (
            {} if live is None else {"raw": live.record_raw, "snapshots": live.snapshots, "log": live.log}
        )
        return Outputs(
            video=self.output,
            json=self.json,
            masks=self.masks,
            audio=self.audio,
            dicom_seg=self.dicom_seg,
            dicom_video=self.dicom_video,
            deidentify=self.deidentify and live is None,  # a live source's is one of LiveOptions
            **beside,
        )


@Parameter(name="*", group=Group("Engine", sort_key=2))
@dataclass(frozen=True)
class EngineFlags:
    """Which network runs, and how.

    Parameters
    ----------
    threads
        Processor threads for the engine; all by default.
    """

    engine: Annotated[str | None, Parameter(help=ENGINE_HELP)] = None
    backend: Annotated[str, Parameter(help=BACKEND_HELP)] = AUTO
    precision: Annotated[str, Parameter(help=PRECISION_HELP)] = AUTO
    threads: int | None = None

    def recipe(self, *, optimise_for: Goal) -> EngineRecipe:
        """As engines are opened."""
        return EngineRecipe(
            self.engine or DEFAULT_BUNDLE,
            self.backend,
            self.precision,
            self.threads,
            optimise_for=optimise_for,
        )


@Parameter(name="*", group=Group("Picture", sort_key=3))
@dataclass(frozen=True)
class PictureFlags:
    """What counts as a polyp, and how it is drawn.

    Parameters
    ----------
    threshold
        Probability from which a pixel is polyp; the bundle's own by default.
    style
        How polyps are drawn.
    crop
        The endoscope's picture in the frame: auto, off, or x,y,w,h.
    """

    threshold: float | None = None
    style: Style = "outline"
    crop: str = "auto"

    def area(self) -> Crop:
        """The crop, read; raises InputError."""
        return parse_crop(self.crop)

    def settings(self, spec: EngineSpec) -> Settings:
        """The bundle's settings with what was asked for; raises InputError."""
        return settings_for(spec, threshold=self.threshold, style=self.style)


@Parameter(name="*", group=Group("Input", sort_key=4))
@dataclass(frozen=True)
class InputFlags:
    """How the input is read.

    Parameters
    ----------
    input_format
        A camera's pixel format: mjpeg, yuyv422, h264 …; the device's first by default.
    video_size
        A camera's WIDTHxHEIGHT.
    framerate
        A camera's frames per second.
    stream
        Index of the video stream to take, where a file has several; the largest picture by default.
    deinterlace
        auto (frames that are marked as interlaced), on (all frames) or off.
    max_pixels
        Pictures that declare more are refused before they are decoded; 8K (7680x4320) by default.
    allow_host
        Another HOST or HOST:PORT that a stream's redirects and playlist may lead to; may be given several
        times.
    """

    input_format: str | None = None
    video_size: str | None = None
    framerate: str | None = None
    stream: int | None = None
    deinterlace: Deinterlace = "auto"
    max_pixels: int = MAX_PIXELS
    allow_host: Annotated[tuple[str, ...], Switch] = ()

    def options(self, *, audio: bool = False) -> InputOptions:
        """As sources take them."""
        return InputOptions(
            input_format=self.input_format,
            video_size=self.video_size,
            frame_rate=self.framerate,
            stream=self.stream,
            deinterlace=self.deinterlace,
            max_pixels=self.max_pixels,
            allowed_hosts=self.allow_host,
            audio=audio,
        )


@Parameter(name="*", group=Group("Live", sort_key=5))
@dataclass(frozen=True)
class LiveFlags:
    """What only a live source has.

    Parameters
    ----------
    latest
        The newest frame wins, as on every live source: --latest plays a file like one, --every-frame waits
        for each frame's own result.
    max_age
        Milliseconds from a frame's capture, after which its result is not drawn any more.
    alert_delay
        Milliseconds that a polyp must be outlined without a break before it alerts.
    tone
        Sound at each alert.
    record_raw
        Record the stream as it comes, without encoding it again (MP4 or Matroska).
    snapshots
        Folder for the pictures that the key s takes.
    metrics
        Serve metrics as Prometheus' text at :PORT, for this machine only, or at HOST:PORT.
    serve
        Show the live page at HOST:PORT, 127.0.0.1:8080 where none is given; a file plays at its own pace.
    log
        Append one JSON line for each event to this file.
    fallback_engine
        A smaller network's bundle, for when the engine cannot keep up.
    """

    latest: Annotated[bool | None, Parameter(negative="--every-frame")] = None
    max_age: float = 150.0
    alert_delay: float = 200.0
    tone: Annotated[bool, Parameter(negative="--mute")] = False
    record_raw: Path | None = None
    snapshots: Path | None = None
    metrics: str | None = None
    serve: str | None = None
    log: Path | None = None
    fallback_engine: str | None = None

    def options(self, *, crop: Crop, deidentify: bool) -> LiveOptions:
        """As live runs take them."""
        return LiveOptions(
            crop=crop,
            max_age_ms=self.max_age,
            alert_delay_ms=self.alert_delay,
            tone=self.tone,
            deidentify=deidentify,
            metrics=self.metrics,
            serve=self.serve,
            fallback_engine=self.fallback_engine,
        )

    def refuse_without_live(self) -> None:
        """Raise InputError for a flag that a file, processed frame by frame, would silently ignore."""
        for field in fields(self):
            if field.name != "latest" and getattr(self, field.name) != field.default:
                flag = field.name.replace("_", "-")
                raise InputError(f"--{flag} is for live sources: leave it out, or play the file by --latest")
