"""`python -m train.table`: the paper's Table 1, trained cell by cell and scored with intervals."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated

import cv2
import torch
from cyclopts import Parameter

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program
from train.data import Source, check_names, parse_source
from train.experiment.start import Start
from train.experiment.training import Machine
from train.flags import EncoderFlags, MachineFlags
from train.overrides import Overrides, given
from train.recipe import RecipeChoice
from train.table.cells import read_cells
from train.table.design import PICTURES, RESULTS, RUNS, designed_cells
from train.table.design_report import write_design_report
from train.table.design_results import read_design
from train.table.engine_rates import read_engine_rates
from train.table.figure import write_figures
from train.table.gain_pictures import write_gain_pictures
from train.table.number_format import numerics_of
from train.table.paper import ROWS
from train.table.plan import plan
from train.table.protocols import PROTOCOLS
from train.table.report import write_report
from train.table.results import read_lines
from train.table.run import run_cells

app = make_app("python -m train.table", __doc__)


@app.default
def table(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    data: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="")] = (),
    net: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="")] = tuple(ROWS),
    protocol: str = "paper",
    encoder: str | None = None,
    encoder_weights: EncoderFlags = EncoderFlags(),  # noqa: B008 – frozen
    init: Path | None = None,
    recipe: str = "ours",
    seeds: int = 5,
    budget_minutes: float | None = None,
    report_only: Annotated[bool, Parameter(negative="")] = False,
    frame: Annotated[tuple[str, ...], Parameter(consume_multiple=False, negative="")] = (),
    machine: MachineFlags = MachineFlags(),  # noqa: B008
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008 – frozen
) -> None:
    """Train every network with and without information fusion from several seeds, and score the test parts.

    Writes table.md and table.csv, and for each test part in --data a picture of images, truth and outlines.
    The same command again goes on where it was stopped.

    Parameters
    ----------
    out
        The table's folder; it also holds a run folder for each cell.
    data
        DIR[:SPLIT], repeatable: trained on and scored each for itself, or jointly with --protocol pranet.
    net
        Rows, repeatable: fcn, unet, unetpp, resunetpp, pranet; all by default.
    protocol
        paper, or pranet: one model on all --data, its last weights, Dice and IoU as means of 256 thresholds.
    encoder
        Backbone of all networks, or paper: vgg16 for fcn, res2net50 for pranet, their own for the others.
    init
        Begin with all weights of INIT/NETWORK/best.pt, runs on other data; sections of their own tell of it.
    recipe
        What the options below begin with: ours, or each network's author's as published.
    seeds
        Trainings of each network, from --seed upwards.
    budget_minutes
        Stop after so many minutes; the same command goes on.
    report_only
        Train nothing: write the table of the cells that are finished.
    frame
        Name of a test image for the picture, repeatable; default: a poor, a median and a good one.
    """
    if not data and not report_only:
        raise InputError("--data: none given. Give e.g. ../data/kvasir-seg:paper80-10-10, or --report-only")
    trainings = _trainings(protocol, data)
    if not report_only:
        start = Start(encoder_weights.random_init, encoder_weights.backbone_weights, init)
        choice = RecipeChoice(recipe, given(overrides))
        cells = list(plan(protocol, net, encoder, trainings, seeds, start, choice))
        place = machine.machine()
        run_cells(cells, out, out, place, budget_minutes, lambda: write_report(read_lines(out), out))
    elif not read_cells(out):
        raise InputError(f"{out}: no finished cell in it. Leave --report-only out, or give another -o")
    write_report(read_lines(out), out)
    write_figures(out, [source for training in trainings for source in training], frame, machine.device)


def _trainings(protocol: str, data: Sequence[str]) -> list[tuple[Source, ...]]:
    """What is trained on together. Raises InputError for what the protocol cannot take."""
    if protocol not in PROTOCOLS:
        raise InputError(f"protocol {protocol!r} is unknown; {known_names(protocol, PROTOCOLS)}")
    sources = [parse_source(text) for text in data]
    check_names(sources)
    return PROTOCOLS[protocol].trainings(sources)


@app.command(name="report")
def report_design(*, results: Path = RESULTS) -> None:
    """Write the report of the design in docs/paper.md and its pictures, from what is finished.

    Parameters
    ----------
    results
        The folder of the finished cells, beside which all are written.
    """
    write_design_report(read_design(results), read_engine_rates(results / "engines.json"), results)


@app.command(name="work")
def work_on_design(
    *,
    data: Path,
    budget_minutes: float | None = None,
    results: Path = RESULTS,
    runs: Path = RUNS,
    save_minutes: float = 3.0,
) -> None:
    """Train and score cells of the design in docs/paper.md, on one core, until none is left.

    Any number of these commands share the queue. What was stopped, by a signal or the power, goes on from its
    last checkpoint.

    Parameters
    ----------
    data
        The folder that holds kvasir-seg and cvc-612.
    budget_minutes
        Stop after so many minutes; the same command goes on.
    results
        Where finished cells go: one JSON and one CSV each, to be committed.
    runs
        Where trainings lie; the weights of finished ones stay there.
    save_minutes
        Minutes between checkpoints.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    run_cells(
        designed_cells(data),
        results,
        runs,
        Machine(save_minutes=save_minutes),
        budget_minutes,
        numerics_of=partial(numerics_of, results=results, runs=runs),
    )


@app.command(name="pictures")
def draw_design(*, data: Path, results: Path = RESULTS, runs: Path = RUNS, out: Path = PICTURES) -> None:
    """Draw the images on which fusion helps each network of the design most and least, from what is finished.

    Parameters
    ----------
    data
        The folder that holds kvasir-seg and cvc-612.
    results
        The folder of the finished cells.
    runs
        Where the weights of finished cells lie.
    out
        Where the pictures go, one for each test part; they show frames of the data sets.
    """
    finished = read_design(results)
    sources = dict.fromkeys(cell.sources[0] for cell in designed_cells(data))
    write_gain_pictures(finished, list(sources), runs, out)


if __name__ == "__main__":
    run_program(app)
