"""A picture of how latencies are distributed: what percentiles alone do not show, such as two modes."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import OutputError
from rtpolyp.measure.benchmark.samples import Samples
from rtpolyp.measure.statistics import percentile

__all__ = ["Panel", "draw_histograms", "write_histograms"]

WIDTH, HEIGHT = 960, 260  # pixels, of one panel
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 64, 36  # margins
BINS = 100
MARKED = {50: (60, 140, 40), 95: (0, 140, 230), 99: (40, 40, 210)}  # percentile → BGR
INK, BAR, GRID = (40, 40, 40), (190, 140, 90), (225, 225, 225)
FONT = cv2.FONT_HERSHEY_SIMPLEX
BEYOND = 0.3  # of the distance from minimum to p99, shown to the right of it

Picture = NDArray[np.uint8]


class Panel(NamedTuple):
    """One histogram."""

    title: str
    samples: Samples  # milliseconds


def draw_histograms(panels: Sequence[Panel]) -> Picture:
    """One panel below the other, `(H, W, 3) uint8 BGR`."""
    return np.concatenate([_draw(panel) for panel in panels])


def write_histograms(panels: Sequence[Panel], path: Path) -> None:
    """Write the picture; raises OutputError for an unknown extension or where it cannot be written."""
    try:
        written = cv2.imwrite(str(path), draw_histograms(panels))
    except cv2.error as exc:
        raise OutputError(f"{path}: no kind of picture; name it *.png") from exc
    if not written:
        raise OutputError(f"{path}: cannot be written; give a path in a folder that exists")


def _draw(panel: Panel) -> Picture:
    samples, picture = panel.samples, np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    low, p99 = float(samples.min()), percentile(samples, 99)
    high = max(p99 + BEYOND * (p99 - low), low * 1.05 + 0.01)  # a tail would squeeze the rest into one bar
    counts, edges = np.histogram(samples, BINS, (low, high))
    base = HEIGHT - BOTTOM

    def x_of(value: float) -> int:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * (value - low) / (high - low))

    def write(text: str, at: tuple[int, int], colour: tuple[int, int, int] = INK, size: float = 0.45) -> None:
        cv2.putText(picture, text, at, FONT, size, colour, 1, cv2.LINE_AA)

    for tick in _ticks(low, high):
        cv2.line(picture, (x_of(tick), TOP), (x_of(tick), base), GRID, 1)
        write(f"{tick:g}", (x_of(tick) - 10, base + 18))
    for count, left, right in zip(counts, edges, edges[1:], strict=False):
        top = base - round((base - TOP) * count / counts.max())
        cv2.rectangle(picture, (x_of(left), top), (max(x_of(left), x_of(right) - 2), base), BAR, cv2.FILLED)
    cv2.line(picture, (LEFT, base), (WIDTH - RIGHT, base), INK, 1)
    cv2.line(picture, (LEFT, TOP), (LEFT, base), INK, 1)
    write(str(counts.max()), (8, TOP + 10))
    write("0", (LEFT - 16, base))
    write("ms", (WIDTH - RIGHT - 16, base + 32))
    write(panel.title, (LEFT, 22), size=0.55)
    for position, (rank, colour) in enumerate(MARKED.items()):
        value = percentile(samples, rank)
        cv2.line(picture, (x_of(value), TOP), (x_of(value), base), colour, 1)
        write(f"p{rank} {value:.2f} ms", (LEFT + 150 * position, 46), colour)
    beyond = int((samples > high).sum())
    write(
        f"{len(samples)} samples, {beyond} right of this picture, max {samples.max():.2f} ms",
        (LEFT + 150 * len(MARKED), 46),
    )
    return picture


def _ticks(low: float, high: float) -> list[float]:
    """Four to ten round numbers."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda factor: abs(factor * power - rough))
    first, last = np.ceil(low / step), np.floor(high / step)
    return [float(round(index * step, 10)) for index in np.arange(first, last + 1)]
