"""Charts of a report, as SVG that a page holds; their colours come from its style sheet."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rtpolyp.report.sightings import Sighting

__all__ = ["bars", "clock", "curve", "timeline"]

WIDTH = 1000  # units of the drawing
COLUMNS = 1000  # of a curve: no screen shows more, and a page stays small
LANES = 6  # of the timeline; sightings that overlap more often share the last one
LANE_HEIGHT = 22
WIDEST = 80.0  # units, of a bar
NARROWEST = 4.0  # units, of a sighting: it must be seen and hit


def clock(seconds: float) -> str:
    """A time as 1:02:03 or 2:03."""
    whole = int(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"


def timeline(sightings: Sequence[Sighting], start: float, duration: float, labels: Sequence[str]) -> str:
    """Sightings as bars that lead to their entries, with a grid of times below."""
    ends = [-1.0] * LANES  # where each lane is free again
    marks = []
    for one in sightings:
        x = _x(one.first_seconds, start, duration)
        width = max(NARROWEST, _x(one.last_seconds, start, duration) - x)
        lane = next((index for index, end in enumerate(ends) if end <= x), LANES - 1)
        ends[lane] = x + width + 1
        label = escape(labels[one.number - 1])
        marks.append(
            f'<a href="#sighting-{one.number}" aria-label="{label}"><title>{label}</title>'
            f'<rect class="mark" x="{x:.1f}" y="{lane * LANE_HEIGHT + 3}" width="{width:.1f}" '
            f'height="{LANE_HEIGHT - 6}" rx="2"/></a>'
        )
    used = max(1, sum(end >= 0 for end in ends))
    height = used * LANE_HEIGHT
    return (
        f'<svg viewBox="0 0 {WIDTH} {height + 20}" role="group" aria-label="Timeline of sightings">'
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>'
        f"{_grid(start, duration, height)}{''.join(marks)}</svg>"
    )


def curve(
    times: tuple[NDArray[np.float64], float, float],
    values: NDArray[np.float32],
    *,
    most: float,
    name: str,
    unit: str,
) -> str:
    """The highest value of each column of time, as a filled curve from 0 to `most`.

    `times` are the seconds of the values, those at which the drawing starts, and how many it spans.
    """
    seconds, start, duration = times
    height, columns = 120, min(COLUMNS, len(seconds))
    middle = seconds - start + duration / len(seconds) / 2  # no rounding moves it to the column before
    column = np.clip((middle / max(duration, 1e-9) * columns).astype(int), 0, columns - 1)
    peaks = np.zeros(columns, np.float32)
    np.maximum.at(peaks, column, values)
    y = height - np.clip(peaks / most, 0, 1) * height
    width = WIDTH / columns
    steps = np.flatnonzero(np.diff(peaks, prepend=np.nan, append=np.nan) != 0)
    # A run of equal columns is one straight piece: most of an examination shows no polyp.
    points = " ".join(f"{a * width:g},{y[a]:.1f} {b * width:g},{y[a]:.1f}" for a, b in pairwise(steps))
    return (
        f'<svg viewBox="0 0 {WIDTH} {height + 20}" role="img" aria-label="{escape(name)} over time">'
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>{_grid(start, duration, height)}'
        f'<polygon class="curve" points="0,{height} {points} {WIDTH},{height}"/>'
        f'<text x="4" y="14">{most:g}{escape(unit)}</text></svg>'
    )


def bars(counts: Sequence[float], labels: Sequence[str], *, name: str) -> str:
    """One bar a count, each with a label that is shown where there is room."""
    height, step = 110, min(WIDEST, WIDTH / max(1, len(counts)))
    most = max(*counts, 1) if counts else 1
    every = max(1, -(-len(counts) // 12))
    parts = []
    for index, (count, label) in enumerate(zip(counts, labels, strict=True)):
        tall = count / most * (height - 16)
        x = index * step
        parts.append(
            f'<rect class="bar" x="{x + 0.1 * step:.1f}" y="{height - tall:.1f}" '
            f'width="{max(0.8 * step, 0.5):.1f}" height="{tall:.1f}"><title>{escape(label)}: {count:g}'
            "</title></rect>"
        )
        if index % every == 0:
            parts.append(f'<text x="{x + 0.1 * step:.1f}" y="{height + 15}">{escape(label)}</text>')
    return (
        f'<svg viewBox="0 0 {WIDTH} {height + 20}" role="img" aria-label="{escape(name)}">'
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>{"".join(parts)}'
        f'<text x="4" y="13">{most:g}</text></svg>'
    )


def _x(seconds: float, start: float, duration: float) -> float:
    return float(np.clip((seconds - start) / max(duration, 1e-9), 0, 1)) * WIDTH


def _grid(start: float, duration: float, height: float) -> str:
    """Lines with times, at most ten."""
    steps = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 4 * 3600, 24 * 3600)
    step = next((one for one in steps if duration / one <= 10), steps[-1])
    lines = []
    for index in range(int(duration // step) + 1):
        x = _x(start + index * step, start, duration)
        lines.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height}"/>')
        if x < WIDTH - 30:
            lines.append(f'<text x="{x + 2:.1f}" y="{height + 15}">{clock(start + index * step)}</text>')
    return "".join(lines)
