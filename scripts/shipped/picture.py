"""The picture of Dice against frames per second, as SVG: labels stand beside what they name, no legend."""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from scripts.shipped.labels import Box, Label, place
from scripts.shipped.published import BEST_ON_OUR_SPLIT, PUBLISHED
from scripts.shipped.speed import Point

__all__ = ["draw"]

WIDTH, HEIGHT = 960, 660
PLOT = Box(60, 84, 936, 500)
FONT = "system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif"
INK, GREY, FAINT = "#1f2933", "#6b7280", "#e8eaed"
COLOURS = ("#0b6e69", "#c2571a", "#5b4b9a", "#9a3b5f")  # a bundle each
DASHES = {"int8": "none", "bf16": "6 4", "fp32": "1 4"}
DICE_TICKS = (*(tick / 10 for tick in range(9)), 0.85, *(tick / 100 for tick in range(90, 100)))
REAL_TIME = 25  # frames per second


class Axes:
    """Frames per second and Dice to pixels, both logarithmic: of Dice, what it lacks to 1."""

    def __init__(self, rates: Sequence[float], dices: Sequence[float]) -> None:
        self.slowest, self.fastest = min(rates) / 1.2, max(rates) * 1.35
        self.least, self.most = 1 - 1.1 * (1 - min(dices)), 1 - (1 - max(dices)) / 1.2

    def x(self, rate: float) -> float:
        """Pixels from the left."""
        share = math.log(rate / self.slowest) / math.log(self.fastest / self.slowest)
        return PLOT.left + (PLOT.right - PLOT.left) * share

    def y(self, dice: float) -> float:
        """Pixels from the top."""
        share = math.log((1 - dice) / (1 - self.least)) / math.log((1 - self.most) / (1 - self.least))
        return PLOT.bottom - (PLOT.bottom - PLOT.top) * share


@dataclass
class Drawing:
    """Shapes, where they are, and the labels that are placed when all are known."""

    shapes: list[str] = field(default_factory=list)
    taken: list[Box] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)

    def mark(self, shape: str, x: float, y: float, radius: float) -> None:
        """Add a shape that no label is to cover."""
        self.shapes.append(shape)
        self.taken.append(Box(x - radius, y - radius, x + radius, y + radius))


def draw(points: Sequence[Point], machine: str) -> str:
    """The whole SVG; `machine` is what `points` were measured on, in words."""
    rates = [rate for point in points for rate in (point.slowest, point.fastest)]
    dices = [point.dice for point in points]
    axes = Axes(
        [*rates, *(other.frames_per_second for other in PUBLISHED)],
        [*dices, *(other.dice for other in PUBLISHED), BEST_ON_OUR_SPLIT.dice],
    )
    drawing = Drawing()
    _draw_best(drawing, axes)
    _draw_bundles(drawing, axes, points)
    _draw_published(drawing, axes)
    placed = place(drawing.labels, drawing.taken, PLOT)
    lines = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' font-family='{FONT}'>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' rx='8' fill='#fff'/>",
        _text(PLOT.left, 34, "Dice on Kvasir-SEG’s test frames against speed", 19, INK, weight=600),
        _text(
            PLOT.left,
            58,
            f"In colour: rtpolyp on {machine}, by input size in pixels. In grey: published networks on GPUs.",
            13,
            GREY,
        ),
        *_grid(axes),
        *drawing.shapes,
        *(_text(x, y, one.text, one.size, one.colour, anchor, one.weight) for one, x, y, anchor, _ in placed),
        *_caption(),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def _draw_bundles(drawing: Drawing, axes: Axes, points: Sequence[Point]) -> None:
    """A curve through the sizes of each bundle and precision; the size that ships is the large dot."""
    colours = dict(
        zip(dict.fromkeys(point.bundle for point in points), itertools.cycle(COLOURS), strict=False)
    )
    curves: dict[tuple[str, str], list[Point]] = {}
    for point in sorted(points, key=lambda point: point.side):
        curves.setdefault((point.bundle, point.precision), []).append(point)
    quickest = {}  # precision of each bundle: later ones are faster
    for point in sorted(points, key=lambda point: point.frames_per_second):
        quickest[point.bundle] = point.precision
    for (bundle, precision), curve in curves.items():
        colour = colours[bundle]
        ends = [(axes.x(point.frames_per_second), axes.y(point.dice)) for point in curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
        drawing.shapes.append(
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.6' "
            f"stroke-dasharray='{DASHES.get(precision, 'none')}' stroke-linecap='round'/>"
        )
        drawing.taken += _along(ends)
        is_quickest = precision == quickest[bundle]
        for point, (x, y) in zip(curve, ends, strict=True):
            radius = 6.0 if point.shipped else 3.2
            fill = colour if is_quickest else "#fff"
            slowest, fastest = axes.x(point.slowest), axes.x(point.fastest)
            spread = _line(slowest, y, fastest, y, colour, "stroke-opacity='.45'")
            drawing.taken.append(Box(slowest, y - 1, fastest, y + 1))
            circle = (
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='{radius}' fill='{fill}' stroke='{colour}' "
                "stroke-width='1.6'/>"
            )
            drawing.mark(spread + circle, x, y, radius + 1)
            if is_quickest:
                weight = 600 if point.shipped else 400
                drawing.labels.append(Label(str(point.side), x, y, colour, 11, weight, gap=radius + 5))
        name = f"{bundle} {precision.upper()}" if is_quickest else precision.upper()
        x, y = ends[-1]  # the largest size, the left end
        drawing.labels.insert(0, Label(name, x, y, colour, 13 if is_quickest else 11, 600, gap=12))


def _draw_published(drawing: Drawing, axes: Axes) -> None:
    for other in PUBLISHED:
        x, y = axes.x(other.frames_per_second), axes.y(other.dice)
        diamond = f"<path d='M{x:.1f},{y - 5:.1f}l5,5l-5,5l-5,-5z' fill='{GREY}'/>"
        drawing.mark(diamond, x, y, 5)
        drawing.labels.append(Label(f"{other.name} {_notes()[other.note]}", x, y, GREY, 11.5))


def _draw_best(drawing: Drawing, axes: Axes) -> None:
    """A level, since its speed is unknown."""
    y = axes.y(BEST_ON_OUR_SPLIT.dice)
    text = (
        f"{BEST_ON_OUR_SPLIT.name} {BEST_ON_OUR_SPLIT.dice:.3f}, the best published on the same test frames"
    )
    drawing.shapes += [
        _line(PLOT.left, y, PLOT.right, y, GREY, "stroke-dasharray='2 4'"),
        _text(PLOT.right - 6, y - 6, text, 11.5, GREY, "end"),
    ]
    drawing.taken.append(Box(PLOT.right - 6.4 * len(text), y - 18, PLOT.right, y + 2))


def _grid(axes: Axes) -> Iterator[str]:
    for dice in (tick for tick in DICE_TICKS if axes.least <= tick <= axes.most):
        y = axes.y(dice)
        yield _line(PLOT.left, y, PLOT.right, y, FAINT)
        yield _text(PLOT.left - 8, y + 4, f"{dice:.2f}", 11.5, GREY, "end")
    for power, digit in itertools.product(range(5), (1, 2, 5)):
        if axes.slowest <= (rate := digit * 10**power) <= axes.fastest:
            x = axes.x(rate)
            yield _line(x, PLOT.top, x, PLOT.bottom, FAINT)
            yield _text(x, PLOT.bottom + 18, str(rate), 11.5, GREY, "middle")
    if axes.slowest <= REAL_TIME <= axes.fastest:
        x = axes.x(REAL_TIME)
        yield _line(x, PLOT.top, x, PLOT.bottom, "#b6bcc6")
        yield _text(x + 5, PLOT.bottom - 7, f"video, {REAL_TIME} frames/s", 11, GREY)
    yield _text(PLOT.right, PLOT.bottom + 36, "frames per second", 11.5, GREY, "end")
    yield _text(PLOT.left, PLOT.top - 8, "Dice", 11.5, GREY, "end")


def _caption() -> Iterator[str]:
    lines = (
        "Ours: mean Dice per image at 0.5, 100 frames (80/10/10 split); engine alone, all its requests "
        "in flight. Both axes are logarithmic, Dice in 1 − Dice.",
        "Large dot: the size that ships. Filled: the fastest precision. Published: other splits, "
        "other ways to average, other machines.",
        *(f"{number} {note}" for note, number in _notes().items()),
        f"{BEST_ON_OUR_SPLIT.name}: {BEST_ON_OUR_SPLIT.note}",
    )
    for index, line in enumerate(lines):
        yield _text(PLOT.left, PLOT.bottom + 62 + 15 * index, line, 11, GREY)


def _notes() -> dict[str, str]:
    """Each source and hardware with its mark, in the order of the networks."""
    return dict(zip(dict.fromkeys(other.note for other in PUBLISHED), "¹²³⁴⁵⁶⁷⁸⁹", strict=False))


def _along(ends: Sequence[tuple[float, float]]) -> Iterator[Box]:
    """Small boxes on a curve, so that labels keep off it."""
    for (x0, y0), (x1, y1) in itertools.pairwise(ends):
        steps = max(1, round(math.hypot(x1 - x0, y1 - y0) / 4))
        for step in range(steps):
            x, y = x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps
            yield Box(x - 1.5, y - 1.5, x + 1.5, y + 1.5)


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, more: str = "") -> str:
    return f"<line x1='{x0:.1f}' y1='{y0:.1f}' x2='{x1:.1f}' y2='{y1:.1f}' stroke='{colour}' {more}/>"


def _text(
    x: float, y: float, text: str, size: float, colour: str, anchor: str = "start", weight: int = 400
) -> str:
    style = f"font-size='{size:g}' fill='{colour}' text-anchor='{anchor}' font-weight='{weight}'"
    halo = "stroke='#fff' stroke-width='3' stroke-linejoin='round' paint-order='stroke'"
    return f"<text x='{x:.1f}' y='{y:.1f}' {style} {halo}>{escape(text)}</text>"
