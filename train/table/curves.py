"""The loss of every finished cell over its steps: a panel for each network on each test part."""

from collections.abc import Iterator
from html import escape

from train.table.design import RECIPE, TESTS
from train.table.design_results import DesignResults, Scored
from train.table.paper import ARMS, DATA_SETS, ROWS

__all__ = ["draw_curves"]

PANEL, HEIGHT, GAP = 150, 96, 18  # pixels of a panel and between two
LEFT, TOP = 44, 64  # pixels before the first column and above the first row
ROW = HEIGHT + 44  # pixels from one test part to the next
HIGHEST = 2.0  # loss at a panel's upper edge; what lies above is drawn there
STYLE = """\
text { font: 13px sans-serif; fill: #1f2933 } .small { font-size: 11px; fill: #52606d }
.head { font-weight: bold } .panel { fill: none; stroke: #cbd2d9 }
polyline { fill: none; stroke-width: 1.2; opacity: .75 } .plain { stroke: #b5651d } .IF { stroke: #0b6e99 }"""


def draw_curves(results: DesignResults) -> str:
    """An SVG; a cell that is not finished has no line, and a network without one an empty panel."""
    width = LEFT + len(ROWS) * (PANEL + GAP)
    height = TOP + len(TESTS) * ROW
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    legend = (
        f"training loss, 0 to {HIGHEST:g}, over {RECIPE.steps} steps; a line for each seed: "
        "without IF brown, with IF blue"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size}>',
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        _text(12, 18, legend, "small"),
    ]
    for line, test in enumerate(TESTS):
        top = TOP + line * ROW
        data_set, split = test.split(":")
        parts.append(_text(12, top - 24, f"{DATA_SETS[data_set]}, {split}", "head"))
        for column, row in enumerate(ROWS):
            parts += _panel(results, test, row, LEFT + column * (PANEL + GAP), top)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(results: DesignResults, test: str, row: str, left: int, top: int) -> Iterator[str]:
    yield _text(left, top - 6, ROWS[row].title, "small")
    yield f'<rect class="panel" x="{left}" y="{top}" width="{PANEL}" height="{HEIGHT}"/>'
    for arm in ARMS:
        for scored in results.seeds(test, row, arm).values():
            yield f'<polyline class="{arm}" points="{_points(scored, left, top)}"/>'


def _points(scored: Scored, left: int, top: int) -> str:
    curve = scored.content["loss"]
    return " ".join(
        f"{left + step / RECIPE.steps * PANEL:.1f},{top + (1 - min(loss / HIGHEST, 1)) * HEIGHT:.1f}"
        for step, loss in zip(curve["step"], curve["value"], strict=True)
    )


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text x="{x}" y="{y}" class="{style}">{escape(text)}</text>'
