"""suggest_frames: the frames of videos that are worth a label, as a folder that labelling tools take."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtpolyp.checks import require_number
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.mask_outline import Outline
from rtpolyp.imaging.picture import Crop
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.labels.mask_files import write_masks
from rtpolyp.labels.model import LabelledFrame, Labels, Region
from rtpolyp.labels.pictures import write_frames
from rtpolyp.measure.figure_files import append_row
from rtpolyp.published_folder import published
from rtpolyp.suggest.choice import Chosen, choose
from rtpolyp.suggest.survey import Candidate, Networks, Survey, survey
from rtpolyp.video.address import is_live
from rtpolyp.video.contract import Source
from rtpolyp.video.source import open_source

__all__ = ["SPREAD", "Suggestion", "suggest_frames"]

SPREAD = "spread"  # the reason of frames that nobody doubts
LEAST_KEPT = 1024  # frames of a video that may be kept: 1 KiB of contrast each, and the outlines
KEPT_FOR_EACH = 4  # of those asked for: near-duplicates among them fall out

Follow = Callable[[str], AbstractContextManager[Callable[[int, int | None], None]]]


@dataclass(frozen=True)
class Suggestion:
    """What was chosen, and what there is to say of it."""

    frames: int
    reasons: dict[str, int]  # frames by reason, most first; a frame may have several
    notes: tuple[str, ...]  # lines
    skipped: tuple[str, ...]  # a line for each video that cannot be read, or breaks off


def suggest_frames(
    videos: Sequence[str],
    out: Path,
    networks: Networks,
    *,
    count: int = 200,
    crop: Crop = "auto",
    follow: Follow,
) -> Suggestion:
    """Choose `count` frames of `videos` and write them into the new folder `out`.

    It gets `images/` and `masks/`, the first network's outlines; `groups.csv` with the video that each frame
    is of; and `suggested.csv` with the reasons, highest score first. Pictures are cut to the endoscope's as
    `crop` says, see `rtpolyp.pipeline.segment`. Each video is decoded twice, and no picture is kept between.
    `follow` shows the progress over a video of that name.

    A video that cannot be read is left out and listed. Raises InputError for a count, networks or videos
    that cannot be used and where no frame is fit, OutputError where `out` holds something, EngineError.
    """
    require_number("count", count, least=1, example="a number of frames such as 200")
    _check(videos, networks)
    with published(out) as staging:
        found: list[Survey] = []
        skipped: list[str] = []
        for video in videos:
            try:
                with _open(video) as source, follow(source.name) as on_progress:
                    most = max(LEAST_KEPT, KEPT_FOR_EACH * count)
                    found.append(survey(source, networks, crop=crop, most=most, on_progress=on_progress))
            except InputError as exc:
                found.append(Survey((), 0.0, None, False, " ".join(str(exc).split())))
            skipped += filter(None, [found[-1].problem])
        chosen = choose(found, count)
        if not chosen:
            raise InputError(
                "no frame of these videos is fit for a label: all are blurred, frozen, outside the body or "
                "cannot be read; give other videos",
                listed=skipped,
            )
        names = _names(videos)
        for place, video in enumerate(videos):
            frames = [one.frame for one in chosen if one.video == place]
            if frames:
                _write_pictures(video, names[place], frames, found[place].picture, staging)
        _write_tables(chosen, videos, names, staging)
    counts = Counter(reason for one in chosen for reason in _reasons(one.frame))
    notes = _notes(videos, found, chosen, count, crop)
    return Suggestion(len(chosen), dict(counts.most_common()), tuple(notes), tuple(skipped))


def _check(videos: Sequence[str], networks: Networks) -> None:
    if not videos:
        raise InputError("no video: give one or more video files")
    first, second = (network.spec for network in networks)
    if (first.name, first.sha256) == (second.name, second.sha256):
        raise InputError(
            f" {second.name}: is the network to compare it with; give another", parameter="against"
        )
    seen: set[Path] = set()
    for video in videos:
        if is_live(video):
            raise InputError(f"{video}: frames are decoded twice, so a live source must be recorded first")
        if (path := Path(video).resolve()) in seen:
            raise InputError(f"{video}: is given twice; leave one out")
        seen.add(path)


def _open(video: str) -> Source:
    if Path(video).is_dir():
        raise InputError(f"{video}: is a folder; give the video files in it")
    source = open_source(video)
    if not source.is_sequence:
        source.close()
        raise InputError(f"{video}: is no video; give video files")
    return source


def _names(videos: Sequence[str]) -> list[str]:
    """What each video's frames are called by: its stem, in letters that every tool takes."""
    names: list[str] = []
    for video in videos:
        stem = "".join(one if one.isalnum() or one in "-_." else "_" for one in Path(video).stem)
        taken = {name.casefold() for name in names}
        name, number = stem, 2
        while name.casefold() in taken:
            name, number = f"{stem}-{number}", number + 1
        names.append(name)
    return names


def _write_pictures(
    video: str, name: str, frames: Sequence[Candidate], picture: Rect | None, out: Path
) -> None:
    assert picture is not None  # of a video with frames
    size = picture.width, picture.height
    labelled = [
        LabelledFrame(
            one.index,
            f"{name}-{one.index:06d}.png",
            size,
            tuple(_region(polyp, picture) for polyp in one.polyps),
        )
        for one in sorted(frames, key=lambda one: one.index)
    ]
    labels = Labels(name, False, tuple(labelled))
    with _open(video) as source:
        write_frames(labels, source, out, picture)
    write_masks(labels, out)


def _region(polyp: Polyp, picture: Rect) -> Region:
    corner = np.array((picture.x, picture.y), np.float32)
    return Region(Outline(polyp.contour - corner), polyp.track, polyp.confidence)


def _write_tables(chosen: Sequence[Chosen], videos: Sequence[str], names: Sequence[str], out: Path) -> None:
    for video, one in sorted(chosen, key=lambda one: (-one.frame.score, one.video, one.frame.index)):
        file = f"{names[video]}-{one.index:06d}.png"
        row = {
            "file": file,
            "video": videos[video],
            "frame": one.index,
            "seconds": round(one.seconds, 3),
            "reasons": " ".join(_reasons(one)),
            "score": round(one.score, 4),
        }
        append_row(row, out / "suggested.csv")
        append_row({"file": file, "patient": names[video]}, out / "groups.csv")


def _reasons(frame: Candidate) -> tuple[str, ...]:
    return frame.reasons or (SPREAD,)


def _notes(
    videos: Sequence[str], found: Sequence[Survey], chosen: Sequence[Chosen], count: int, crop: Crop
) -> list[str]:
    notes = []
    if len(chosen) < count:
        notes.append(f"{len(chosen)} frames of the {count} asked for: all others are like these, or not fit")
    for video, one in zip(videos, found, strict=True):
        if one.problem is None and not one.candidates:
            notes.append(f"{video}: no frame is fit for a label: blurred, frozen or outside the body")
        elif one.candidates and one.is_whole and crop == "auto":
            notes.append(
                f"{video}: no certain border around the endoscope's picture, so whole frames are written, "
                "with any text in them; --crop x,y,width,height keeps a part"
            )
    return notes
