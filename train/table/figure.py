"""A picture like the paper's Figure 3: image, ground truth, and each network without and with IF.

It shows frames of the data set, so whether it may be passed on is for the data's licence to say.
"""

import logging
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from rtpolyp.errors import InputError, OutputError
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import predict, read_pair
from rtpolyp.measure.frame_score import HALF
from train.checkpoint import load_checkpoint
from train.data import Source
from train.experiment.torch_engine import engine_of
from train.table.cells import WEIGHTS, csv_name, read_cells
from train.table.paper import ARMS, ROWS
from train.table.rows import read_rows

__all__ = ["Picture", "draw", "found_by", "panel", "picture_of", "typical", "write_figures", "write_picture"]

log = logging.getLogger(__name__)

PANEL = 200  # pixels, the width of one picture
MARGIN = 6  # pixels around each
HEADING = 26  # pixels, above the columns
GREY = 200  # between the panels, so that a mask of all white or all black still has an edge
RANKS = (10, 50, 90)  # percentiles of Dice, of the frames that are shown unless some are named


class Picture(NamedTuple):
    """An image of a data set and where its polyps are."""

    image: np.ndarray  # (H, W, 3) uint8 BGR
    truth: np.ndarray  # (H, W) bool


class _Run(NamedTuple):
    title: str
    folder: Path


def write_figures(folder: Path, sources: Sequence[Source], frames: Sequence[str], device: str) -> None:
    """Write a picture for each source whose test part finished pairs of cells have scored.

    The pairs' first common seed is shown, on `frames` where these are named. Raises InputError for a frame
    that is in no test part and OutputError when a picture cannot be written.
    """
    tests = {source.name: {pair.name: pair for pair in source.pairs("test")} for source in sources}
    if unknown := [name for name in frames if not any(name in pairs for pairs in tests.values())]:
        raise InputError(
            f"--frame {unknown[0]!r} is in no test part; there are e.g. {', '.join(_some(tests))}"
        )
    for test, pairs in tests.items():
        runs = _runs(folder, test)
        names = [name for name in frames if name in pairs] or typical(
            [run.folder / csv_name(test) for run in runs]
        )
        if runs and names:
            path = folder / f"{test.replace(':', '.')}.png"
            write_picture(path, _picture(runs, [pairs[name] for name in names], device))
            log.info("%s shows frames of the data set: mind its licence", path)


def typical(files: Sequence[Path]) -> list[str]:
    """Names of the frames at RANKS of Dice, by its mean over the runs' per-image CSVs; none without a run."""
    if not files:
        return []
    figures = [read_rows(file) for file in files]
    dice = np.mean([run.values["dice"] for run in figures], axis=0)
    order = np.argsort(dice, kind="stable")
    places = [round(rank / 100 * (len(order) - 1)) for rank in RANKS]
    return [figures[0].names[order[place]] for place in dict.fromkeys(places)]


def draw(columns: Sequence[tuple[str, Sequence[np.ndarray]]]) -> np.ndarray:
    """`(H, W, 3) uint8 BGR`, on grey: a titled column of panels `(h, w, 3) uint8` each, one frame a row."""
    strips = []
    for title, panels in columns:
        framed = [
            cv2.copyMakeBorder(panel, MARGIN, MARGIN, MARGIN, MARGIN, cv2.BORDER_CONSTANT, value=[GREY] * 3)
            for panel in panels
        ]
        heading = np.full((HEADING, PANEL + 2 * MARGIN, 3), GREY, np.uint8)
        cv2.putText(heading, title, (MARGIN, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (0, 0, 0), 1, cv2.LINE_AA)
        strips.append(np.concatenate([heading, *framed]))
    return np.concatenate(strips, axis=1)


def _runs(folder: Path, test: str) -> list[_Run]:
    """Plain and fused run of each row that has both from one seed and still has their weights."""
    cells: dict[tuple[tuple[int, str, str], int], dict[str, _Run]] = defaultdict(dict)
    for file, cell in read_cells(folder):
        if test in cell["tests"] and (file.parent / WEIGHTS).is_file() and cell["arm"] in ARMS:
            title = ROWS[cell["row"]].title + (" + IF" if cell["arm"] == "IF" else "")
            key = (list(ROWS).index(cell["row"]), cell["network"]["encoder"], cell["initialisation"])
            cells[key, cell["seed"]][cell["arm"]] = _Run(title, file.parent)
    first: dict[tuple[int, str, str], dict[str, _Run]] = {}
    for (key, _), arms in sorted(cells.items(), key=lambda item: item[0]):
        if len(arms) == len(ARMS):
            first.setdefault(key, arms)
    return [arms[arm] for arms in first.values() for arm in ARMS]


def _picture(runs: Sequence[_Run], pairs: Sequence[Pair], device: str) -> np.ndarray:
    pictures = [picture_of(pair) for pair in pairs]
    images = [picture.image for picture in pictures]
    columns = [
        ("image", [panel(image) for image in images]),
        ("ground truth", [panel(picture.truth) for picture in pictures]),
    ]
    for run in runs:
        found = found_by(run.folder / WEIGHTS, images, device)
        columns.append((run.title, [panel(mask) for mask in found]))
    return draw(columns)


def picture_of(pair: Pair) -> Picture:
    """The image and its mask. Raises InputError for one that cannot be read."""
    return Picture(*read_pair(pair))


def found_by(weights: Path, images: Sequence[np.ndarray], device: str) -> list[np.ndarray]:
    """The masks `(H, W) bool` of a network at 0.5 and at the images' sizes, `(H, W, 3) uint8 BGR` each."""
    with engine_of(load_checkpoint(weights), device) as engine:
        return [
            cv2.resize(probability, images[index].shape[1::-1], interpolation=cv2.INTER_LINEAR) >= HALF
            for index, probability in predict(engine, enumerate(images))
        ]


def panel(picture: np.ndarray) -> np.ndarray:
    """An image `(H, W, 3) uint8 BGR`, or a mask `(H, W) bool` in white on black, PANEL pixels wide."""
    if picture.dtype == bool:
        picture = np.repeat(picture[..., np.newaxis] * np.uint8(255), 3, axis=2)
    return resize_frame(picture, (PANEL, round(PANEL * picture.shape[0] / picture.shape[1])))


def _some(tests: dict[str, dict[str, Pair]]) -> list[str]:
    return [name for pairs in tests.values() for name in pairs][:3]


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Write a PNG, and its folder. Raises OutputError where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    except OSError as exc:
        raise OutputError(
            f"{path}: cannot be written ({exc.strerror}). Free space or choose another -o"
        ) from exc
