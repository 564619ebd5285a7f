"""The forest plot of the gains in Dice: a line for each network on each test part, and the pooled gain."""

from collections.abc import Iterator, Sequence
from html import escape

from train.table.design import SEQUENCE, TESTS
from train.table.design_results import DesignResults
from train.table.gains import gain_of
from train.table.paper import ARMS, DATA_SETS, PUBLISHED, ROWS

__all__ = ["draw_forest"]

WIDTH, LEFT, RIGHT = 860, 250, 640  # pixels; the axis lies between the last two
LINE, TOP = 22, 58  # pixels
REACH = 0.05  # Dice at either end of the axis; what lies beyond is drawn at its end
TICKS = (-0.04, -0.02, 0.0, 0.02, 0.04)
STYLE = """\
text { font: 13px sans-serif; fill: #1f2933 } .small { font-size: 11px; fill: #52606d }
.head { font-weight: bold } .axis { stroke: #9aa5b1 } .zero { stroke: #1f2933 }
.whisker { stroke: #0b6e99; stroke-width: 2 } .mean { fill: #0b6e99 } .seed { fill: #0b6e99; opacity: .35 }
.pooled { fill: #b5651d } .paper { stroke: #7b8794; stroke-width: 1.5 }"""


def draw_forest(results: DesignResults) -> str:
    """An SVG; test parts without a pair have lines without a mark."""
    lines: list[str] = []
    y = TOP
    for test in TESTS:
        data_set, split = test.split(":")
        lines.append(_text(12, y, f"{DATA_SETS[data_set]}, {split}", "head"))
        for row in ROWS:
            y += LINE
            lines += _network(results, test, row, y)
        y += LINE
        lines += _pooled(results, test, y)
        y += 2 * LINE
    legend = (
        "gain in Dice by information fusion: mean, 95 % interval, single seeds (pale), the paper's gain (×)"
    )
    axis = [mark for tick in TICKS for mark in _tick(tick, y - LINE)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}">'
    ground = f'<rect width="{WIDTH}" height="{y}" fill="#fff"/>'
    title = _text(12, 18, legend, "small")
    return "\n".join([head, f"<style>{STYLE}</style>", ground, title, *axis, *lines, "</svg>"]) + "\n"


def _tick(tick: float, bottom: int) -> Iterator[str]:
    style = "axis" if tick else "zero"
    yield f'<line class="{style}" x1="{_x(tick)}" x2="{_x(tick)}" y1="{TOP - 16}" y2="{bottom}"/>'
    yield _text(_x(tick), TOP - 22, f"{tick:+.2f}" if tick else "0", "small", "middle")


def _network(results: DesignResults, test: str, row: str, y: int) -> Iterator[str]:
    yield _text(28, y, ROWS[row].title)
    if test != SEQUENCE:  # of which the paper has nothing
        plain, fused = (PUBLISHED[row, arm][test.split(":")[0]][0] for arm in ARMS)
        yield _cross(_x(fused - plain), y)
    pairs = results.pairs(test, row, "dice")
    if pairs is None:
        yield _text(RIGHT + 20, y, "missing", "small")
        return
    gain = gain_of(pairs)
    for one in gain.by_seed.values():
        yield f'<circle class="seed" cx="{_x(one)}" cy="{y - 4}" r="3"/>'
    if gain.interval:
        yield _whisker(gain.interval, y)
    yield f'<rect class="mean" x="{_x(gain.mean) - 4:.1f}" y="{y - 8}" width="8" height="8"/>'
    ends = f" [{gain.interval.low:+.3f}, {gain.interval.high:+.3f}]" if gain.interval else ""
    yield _text(RIGHT + 20, y, f"{gain.mean:+.3f}{ends}, n = {len(pairs.seeds)}", "small")


def _pooled(results: DesignResults, test: str, y: int) -> Iterator[str]:
    found = results.pooled(test, "dice")
    yield _text(28, y, "all networks", "head")
    if found is None:
        yield _text(RIGHT + 20, y, "missing", "small")
        return
    low, mean, high = (_x(value) for value in (found.interval.low, found.mean, found.interval.high))
    yield f'<polygon class="pooled" points="{low},{y - 4} {mean},{y - 10} {high},{y - 4} {mean},{y + 2}"/>'
    text = f"{found.mean:+.4f} [{found.interval.low:+.3f}, {found.interval.high:+.3f}]"
    yield _text(RIGHT + 20, y, text, "small")


def _whisker(ends: Sequence[float], y: int) -> str:
    return f'<line class="whisker" x1="{_x(ends[0])}" x2="{_x(ends[1])}" y1="{y - 4}" y2="{y - 4}"/>'


def _cross(x: float, y: int) -> str:
    return f'<path class="paper" d="M{x - 4:.1f} {y - 8}l8 8m0-8l-8 8"/>'


def _x(gain: float) -> float:
    share = (min(max(gain, -REACH), REACH) + REACH) / (2 * REACH)
    return round(LEFT + share * (RIGHT - LEFT), 1)


def _text(x: float, y: float, text: str, style: str = "", anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" class="{style}" text-anchor="{anchor}">{escape(text)}</text>'
