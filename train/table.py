"""`python -m train.table`: the paper's Table 1, trained cell by cell and scored with intervals."""

import json
import logging
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import App, Parameter

from rtpolyp.errors import InputError
from train.__main__ import Overrides
from train.cells import ARMS, Cell, Start, arms_of, check_test_is_unseen, is_finished, run_cell
from train.command_line import run_command_line
from train.data import Source, parse_source
from train.optimisation import Numerics
from train.recipe import recipe_for

__all__ = ["app", "plan"]

log = logging.getLogger(__name__)

ROWS = ("fcn", "unet", "unetpp", "resunetpp", "pranet")

app = App(name="python -m train.table", help=__doc__, version_flags=(), suppress_keyboard_interrupt=False)


@app.default
def table(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    data: Annotated[list[str], Parameter(consume_multiple=False, negative="")],
    net: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="")] = ROWS,
    encoder: str | None = None,
    backbone_weights: str | None = None,
    random_init: Annotated[bool, Parameter(negative="")] = False,
    init: str | None = None,
    seeds: int = 5,
    budget_minutes: float | None = None,
    save_minutes: float = 5.0,
    device: str = "cpu",
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008 – frozen
) -> None:
    """Train every network with and without information fusion from several seeds, and score the test parts.

    The same command again goes on where it was stopped.

    Parameters
    ----------
    out
        The table's folder: a run folder for each cell.
    data
        DIR[:SPLIT], repeatable: each is a column of its own.
    net
        Rows: fcn, unet, unetpp, resunetpp, pranet; all by default.
    encoder
        Backbone of the networks that take one.
    backbone_weights
        Its ImageNet weights: a path, or imagenet to fetch the published ones where no package installs them;
        default: weights/ENCODER_imagenet beside the data, else a package's.
    random_init
        Start the encoder from random weights.
    init
        Begin with all weights of a bundle or of a run's best.pt; such rows stand in a table of their own.
    seeds
        Trainings of each network, from --seed upwards.
    budget_minutes
        Begin no further cell after so many minutes.
    save_minutes
        Minutes between checkpoints.
    device
        Where to train: cpu, cuda, cuda:1 …
    """
    start = Start(random_init, backbone_weights, init)
    given = {name: value for name, value in vars(overrides).items() if value is not None}
    sources = [(parse_source(text),) for text in data]
    cells = list(plan(net, encoder, sources, seeds, start, given))
    for together in sources:
        check_test_is_unseen(together)
    began = time.monotonic()
    left = [cell for cell in cells if not is_finished(cell, out / cell.name)]
    for number, cell in enumerate(left):
        if budget_minutes is not None and time.monotonic() - began > 60 * budget_minutes:
            log.info(
                "budget spent: %d of %d cells left; the same command goes on", len(left) - number, len(cells)
            )
            break
        log.info("cell %d of %d: %s", len(cells) - len(left) + number + 1, len(cells), cell.name)
        numerics = run_cell(
            cell, out / cell.name, numerics=_numerics(out), save_minutes=save_minutes, device=device
        )
        _keep_numerics(out, numerics)


def plan(
    rows: Sequence[str],
    encoder: str | None,
    sources: Sequence[tuple[Source, ...]],
    seeds: int,
    start: Start,
    overrides: dict[str, object],
) -> Iterator[Cell]:
    """The cells in the order of their training: by data, then seed by seed, so that pairs are complete early.

    Both arms of a row take the plain network's recipe. Raises InputError for an unknown row.
    """
    if unknown := [row for row in rows if row not in ROWS]:
        raise InputError(
            f"network {unknown[0]!r} is no row; there are: {', '.join(ROWS)}, each with and without IF"
        )
    for together in sources:
        for index in range(seeds):
            for row in rows:
                recipe = recipe_for(row).changed(**overrides)
                recipe = replace(recipe, seed=recipe.seed + index)
                specs = arms_of(row, encoder)
                for arm in ARMS:
                    yield Cell(row, arm, specs[arm], recipe, together, start)


def _numerics(out: Path) -> Numerics | None:
    """What the table's first cell measured: one arithmetic for all, or the arms would differ by it."""
    file = out / "numerics.json"
    if not file.is_file():
        return None
    try:
        return Numerics(**json.loads(file.read_text()))
    except (OSError, ValueError, TypeError) as exc:
        raise InputError(f"{file}: not the table's numerics ({exc}). Copy them from a cell.json") from exc


def _keep_numerics(out: Path, numerics: Numerics) -> None:
    (out / "numerics.json").write_text(json.dumps(asdict(numerics)) + "\n")


def _interrupt(number: int, frame: FrameType | None) -> None:
    """SIGTERM between trainings ends the table as Ctrl-C does; inside one, `fit` saves first."""
    raise KeyboardInterrupt


def main() -> None:
    """Run the command; exit with 0, with 2 after a one-line error, with 130 after Ctrl-C or SIGTERM."""
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(run_command_line(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
