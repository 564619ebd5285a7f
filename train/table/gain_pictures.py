"""Pictures like the paper's Figure 3: the images on which fusion helps a network most and least.

They show frames of the data set, so whether they may be passed on is for the data's licence to say.
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rtpolyp.measure.dataset import Pair
from train.data import Source
from train.table.cells import WEIGHTS
from train.table.design_results import DesignResults
from train.table.figure import draw, found_by, panel, picture_of, write_picture
from train.table.gains import Pairs
from train.table.paper import ARMS, ROWS

__all__ = ["Extreme", "extremes", "write_gain_pictures"]

log = logging.getLogger(__name__)


class Extreme(NamedTuple):
    """An image of a test part, and the mean gain in Dice over the seeds there."""

    name: str
    gain: float


def extremes(pairs: Pairs) -> tuple[Extreme, Extreme]:
    """The images of the smallest and of the largest mean gain over the seeds; the first by name of equals."""
    gains = pairs.differences.mean(axis=0)
    worst, best = (
        Extreme(pairs.names[place], float(gains[place])) for place in (np.argmin(gains), np.argmax(gains))
    )
    return worst, best


def write_gain_pictures(results: DesignResults, sources: Sequence[Source], runs: Path, folder: Path) -> None:
    """Write a picture for each source: image, ground truth, and the masks without and with fusion.

    Two lines for each network, its worst and its best image; masks are of the first seed whose two weights
    still lie in `runs`. A network without such a pair has no lines, a source without one no picture. Raises
    InputError for an image that cannot be read and OutputError where a picture cannot be written.
    """
    for source in sources:
        files = {pair.name: pair for pair in source.pairs("test")}
        lines: list[list[np.ndarray]] = []
        for row in ROWS:
            pairs = results.pairs(source.name, row, "dice")
            weights = pairs and _weights(results, source.name, row, pairs.seeds, runs)
            if pairs and weights:
                lines += _lines(ROWS[row].title, extremes(pairs), files, weights)
        if not lines:
            log.info("%s: no pair whose weights lie in %s, so no picture", source.name, runs)
            continue
        titles = ("image", "ground truth", "without IF", "with IF")
        columns = list(zip(titles, zip(*lines, strict=True), strict=True))
        path = folder / f"{source.name.replace(':', '.')}.png"
        write_picture(path, draw(columns))
        log.info("%s shows frames of the data set: mind its licence", path)


def _weights(
    results: DesignResults, test: str, row: str, seeds: Sequence[int], runs: Path
) -> tuple[Path, Path] | None:
    """The weights of the first seed that has both, without fusion first."""
    files = {
        (cell.recipe.seed, cell.arm): runs / cell.name / WEIGHTS
        for cell in results.cells
        if (cell.sources[0].name, cell.row) == (test, row)
    }
    for seed in seeds:
        plain, fused = (files[seed, arm] for arm in ARMS)
        if plain.is_file() and fused.is_file():
            return plain, fused
    return None


def _lines(
    title: str, chosen: Sequence[Extreme], files: dict[str, Pair], weights: tuple[Path, Path]
) -> list[list[np.ndarray]]:
    pictures = [picture_of(files[image.name]) for image in chosen]
    masks = [found_by(file, [picture.image for picture in pictures], "cpu") for file in weights]
    return [
        [
            _titled(panel(picture.image), f"{title} {image.gain:+.2f}"),
            panel(picture.truth),
            panel(without),
            panel(with_fusion),
        ]
        for image, picture, without, with_fusion in zip(chosen, pictures, *masks, strict=True)
    ]


def _titled(picture: np.ndarray, text: str) -> np.ndarray:
    """White on black, in the upper left corner."""
    where = (6, 16)
    for colour, thickness in (((0, 0, 0), 4), ((255, 255, 255), 1)):
        cv2.putText(picture, text, where, cv2.FONT_HERSHEY_SIMPLEX, 0.45, colour, thickness, cv2.LINE_AA)
    return picture
