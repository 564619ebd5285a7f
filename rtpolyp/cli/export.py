"""`rtpolyp export`: what a run found, or a data set's masks, as files of a labelling tool."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.labels.export import FORMATS, export_labels
from rtpolyp.labels.mask_folder import read_mask_folder
from rtpolyp.labels.model import Labels
from rtpolyp.labels.pictures import copy_pictures, pictures_of, write_frames
from rtpolyp.labels.run_file import read_run
from rtpolyp.published_folder import published
from rtpolyp.terminal.console import make_console, say_written
from rtpolyp.video.image_files import ImageFiles
from rtpolyp.video.source import open_source

__all__ = ["export"]


def export(
    labels: Path,
    /,
    *,
    form: Annotated[str, Parameter(name="--format", help=f"One of {', '.join(FORMATS)}.")],
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
    images: Path | None = None,
    split: str | None = None,
    every: int = 1,
) -> None:
    """Write outlines as files that labelling tools open, and `python -m train.prepare` reads back.

    Parameters
    ----------
    labels
        JSON lines of `rtpolyp run --json`, or a data set: a folder with images/ and masks/.
    out
        The folder to write; NAME-FORMAT in the current folder by default.
    images
        The video or images that were run on: their pictures are put into images/ beside the labels.
    split
        Of a data set, only these frames: a text file with one name a line, or its name in splits/.
    every
        Only each N-th frame; of a CVAT track, each N-th is a keyframe.
    """
    out = out or Path(f"{labels.resolve().stem}-{form}")
    is_data_set = (labels / "images").is_dir()
    if is_data_set and images is not None:
        raise InputError(": a data set has its images; leave it out", parameter="images")
    if split is not None and not is_data_set:
        raise InputError(f" is for data sets, and {labels} is none; leave it out", parameter="split")
    with published(out) as staging:
        if is_data_set:
            found, files = read_mask_folder(labels, split)
            written = export_labels(found, form, staging, every=every)
            copy_pictures(written, files, staging)
        elif images is None:
            written = export_labels(read_run(labels), form, staging, every=every)
        else:
            written = _with_pictures(labels, images, form, staging, every)
    polyps = sum(len(frame.regions) for frame in written.frames)
    console = make_console()
    console.print(f"{polyps} polyps in {len(written.frames)} frames", highlight=False)
    say_written((out,), console)


def _with_pictures(run: Path, images: Path, form: str, out: Path, every: int) -> Labels:
    with open_source(images) as source:
        pictures = pictures_of(source)
        written = export_labels(read_run(run, pictures), form, out, every=every)
        if isinstance(source, ImageFiles) and pictures is not None:
            files = {pictures[name][0]: file for name, file in zip(source.names, source.files, strict=True)}
            copy_pictures(written, files, out)
        else:
            write_frames(written, source, out)
    return written
