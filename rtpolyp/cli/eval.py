"""`rtpolyp eval`: an engine's masks on a data set of images, or its outlines over time on videos."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from rtpolyp.cli.eval_images import ImageEvaluation, evaluate_images
from rtpolyp.cli.eval_video import VideoTruth, evaluate_videos, is_video
from rtpolyp.cli.flags import EngineFlags, Switch
from rtpolyp.errors import InputError
from rtpolyp.tracking.alert import DELAY_MS

__all__ = ["evaluate"]


@Parameter(name="*", group=Group("Images", sort_key=3))
@dataclass(frozen=True)
class ImageFlags:
    """What is scored on images with ground truth.

    Parameters
    ----------
    split
        A text file with one frame name a line, or its name in splits/ in or beside the folder; all images
        by default.
    predictions
        Score the grey PNG masks or probability maps in this folder instead of an engine.
    include_seen
        Score frames that the network was trained or chosen on, too.
    polyp_free_crops
        Also cut this many crops without a polyp from the frames and count those with an outline.
    worst
        Draw the worst cases on a contact sheet; 12 when only --sheet is given.
    sheet
        PNG of the contact sheet; DATA.worst.png in the current folder by default.
    csv
        Write every figure of every frame.
    froc
        Write polyps found against false outlines a frame: NAME.csv, and NAME.svg as a picture.
    """

    split: str | None = None
    predictions: Path | None = None
    include_seen: Annotated[bool, Switch] = False
    polyp_free_crops: int = 0
    worst: int | None = None
    sheet: Path | None = None
    csv: Path | None = None
    froc: Path | None = None

    def asked(self, json: Path | None) -> ImageEvaluation:
        """As images are evaluated."""
        return ImageEvaluation(**{one.name: getattr(self, one.name) for one in fields(self)}, json=json)


@Parameter(name="*", group=Group("Videos", sort_key=4))
@dataclass(frozen=True)
class VideoFlags:
    """What is known of videos.

    Parameters
    ----------
    truth
        What is known of a video: a folder of masks named by the frame's index, or a JSON file of boxes. Once
        for each video, in their order.
    sequences
        JSON that says which sequence each frame belongs to; nothing is smoothed or counted across two of
        them.
    polyp_free
        The videos have no polyp.
    alert_delay
        Milliseconds that a polyp must be outlined without a break before it alerts.
    """

    truth: Annotated[list[Path] | None, Switch] = None
    sequences: Path | None = None
    polyp_free: Annotated[bool, Switch] = False
    alert_delay: float = DELAY_MS


def evaluate(
    data: Path,
    /,
    *more: Path,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    images: ImageFlags = ImageFlags(),
    videos: VideoFlags = VideoFlags(),
    threshold: float | None = None,
    json: Path | None = None,
) -> None:
    """Score an engine, or masks made elsewhere, on images with ground truth; or an engine on videos.

    Parameters
    ----------
    data
        A folder with images/ and masks/; a mask has the image's name and size, and is black where no polyp
        is. Or a video, whose flicker, delays and false activations are scored.
    more
        More videos, each a sequence of its own.
    threshold
        Probability from which a pixel is polyp at the operating point; the bundle's own by default, 0.5 for
        predictions.
    json
        Write the report.
    """
    recipe = engine.recipe(optimise_for="throughput")
    if is_video(data):
        _refuse(images, ImageFlags(), f"scores images with masks, and {data} is a video")
        evaluate_videos(
            (data, *more),
            VideoTruth(videos.truth or (), videos.sequences, videos.polyp_free),
            recipe,
            threshold=threshold,
            alert_delay_ms=videos.alert_delay,
            json=json,
        )
        return
    reason = f"is for videos, and {data} is none"
    if more:
        raise InputError(f"a second path {reason}: leave it out")
    _refuse(videos, VideoFlags(alert_delay=videos.alert_delay), reason)
    evaluate_images(data, recipe, images.asked(json), threshold=threshold)


def _refuse(flags: ImageFlags | VideoFlags, defaults: ImageFlags | VideoFlags, reason: str) -> None:
    for one in fields(flags):
        if getattr(flags, one.name) not in (getattr(defaults, one.name), None, []):
            raise InputError(f" {reason}: leave it out", parameter=one.name)
