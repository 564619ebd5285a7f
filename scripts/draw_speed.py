"""Draw Dice against frames per second: every bundle, precision and size, and what others published.

python scripts/draw_speed.py --measure   # minutes, on a quiet machine: docs/results/speed-dice-PROCESSOR.json
python scripts/draw_speed.py             # docs/speed.svg, from that file alone

Dice are those of the log of the test parts, which --measure completes: the sizes are drawn, none is chosen by
them.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import known_bundles
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.figure_files import write_json, write_text
from rtpolyp.terminal.command_line import make_app, run_app
from rtpolyp.terminal.console import make_console, say_written
from scripts.shipped.picture import draw
from scripts.shipped.speed import Point, measure_points

SIDES = (192, 256, 320)  # pixels, beside each bundle's own
LARGEST_SPREAD = 0.1  # of the rounds of one rate

app = make_app("python scripts/draw_speed.py", __doc__)


@app.default
def main(
    *,
    measure: Annotated[bool, Parameter(negative="")] = False,
    engine: Annotated[list[str] | None, Parameter(negative="")] = None,
    side: Annotated[tuple[int, ...], Parameter(negative="")] = SIDES,
    rounds: int = 5,
    seconds: float = 2.0,
    data: Path = Path("../shared/data"),
    log: Path = Path("docs/results/test_log.csv"),
    results: Path | None = None,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("docs/speed.svg"),
) -> None:
    """Measure if asked to, and draw.

    Parameters
    ----------
    measure
        Measure first; without it the results' file has to be there.
    engine
        A bundle's name, repeatable: all that there are by default.
    side
        Input size in pixels, a multiple of 32, repeatable: of the first bundle, and each also at its own.
    rounds
        How often all are timed, in turn.
    seconds
        Of each timing.
    data
        The folder that holds kvasir-seg.
    log
        The log of the test parts, which scripts/score_shipped.py writes.
    results
        The measurements; docs/results/speed-dice-PROCESSOR.json by default.
    output
        The picture.
    """
    console = make_console()
    processor = this_processor().name.lower().replace(" ", "-")
    results = results or Path(f"docs/results/speed-dice-{processor}.json")
    if measure:
        with console.status("") as status:
            points = measure_points(
                engine or known_bundles(), side, data, log, rounds=rounds, seconds=seconds, say=status.update
            )
        _doubt(points, console)
        report = {
            "command": " ".join(["python scripts/draw_speed.py", *sys.argv[1:]]),
            "machine": asdict(this_machine()),
            "rounds": rounds,
            "seconds": seconds,
            "points": [asdict(point) for point in points],
        }
        write_json(report, results)
        say_written([results], console)
    write_text(draw(*_read(results)), output)
    say_written([output], console)


def _doubt(points: Sequence[Point], console: Console) -> None:
    """Say so where rounds of one rate are far apart."""
    worst = max(points, key=lambda point: point.spread)
    if worst.spread > LARGEST_SPREAD:
        console.print(
            f"doubtful: rounds of {worst.bundle} in {worst.precision} at {worst.side} px are up to "
            f"{worst.spread:.0%} apart; measure on a quiet machine",
            highlight=False,
            soft_wrap=True,
        )


def _read(path: Path) -> tuple[list[Point], str]:
    """The points of a results' file, and the machine that they were measured on."""
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        points = [Point(**point) for point in report["points"]]
        return points, "{cores} cores of {processor}".format_map(report["machine"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: no measurements of this script ({exc!r}); make them by --measure") from exc


if __name__ == "__main__":
    sys.exit(run_app(app, sys.argv[1:]))
