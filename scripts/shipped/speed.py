"""Dice against frames per second of bundles on this machine, by precision and input size."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtpolyp.errors import InputError
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference import Engine, open_engine
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.benchmark.engine import measure_engine
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Schedule
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import evaluate_engine
from rtpolyp.measure.figure_files import append_row
from scripts.shipped.log import Row, make_row, read, rows_of
from scripts.shipped.parts import PRECISIONS, chosen_parts

__all__ = ["PART", "Point", "measure_points"]

PART = "kvasir-test"  # the one that published figures are about
INPUTS = 8  # frames that the engine is timed on, in turn


@dataclass(frozen=True)
class Point:
    """One bundle in one precision at one input size."""

    bundle: str
    digest: str
    precision: str
    side: int  # pixels, the input's shorter side
    shipped: bool  # the bundle's own size
    dice: float  # per image at 0.5, PART
    frames_per_second: float  # of the engine alone with all its requests in flight; median over rounds
    slowest: float  # round
    fastest: float  # round
    engine: str

    @property
    def spread(self) -> float:
        """How far the rounds lie apart, over their median: a quiet machine's do hardly."""
        return (self.fastest - self.slowest) / self.frames_per_second


def measure_points(
    bundles: Sequence[str],
    sides: Sequence[int],
    data: Path,
    log: Path,
    *,
    rounds: int,
    seconds: float,
    say: Callable[[str], None],
) -> list[Point]:
    """Measure every bundle in every precision of this processor, at its own size, the first at `sides` too.

    The rates are medians over `rounds`, in each of which all are timed in turn for `seconds`, since a
    machine's speed drifts. A Dice that the log of the test parts lacks is scored and logged first, but for
    those that scripts/score_shipped.py logs with all other figures: without them this raises InputError.
    """
    wanted = []
    for name in bundles:
        bundle = load_bundle(name)
        own = min(bundle.spec.size)
        for precision in OpenVinoEngine.precisions(bundle):
            for side in sorted({own, *sides} if name == bundles[0] else {own}):
                size = bundle.spec.size if side == own else (side, side)
                wanted.append((name, precision, size, size == bundle.spec.size))
    pairs = chosen_parts([PART])[PART].pairs(data)
    images = [read_image(pair.image) for pair in pairs[:INPUTS]]
    rows: list[Row] = []
    for name, precision, size, shipped in wanted:
        say(f"Dice of {name} in {precision} at {size[0]}x{size[1]}")
        with _open(name, precision, size) as engine:
            rows.append(_scored(engine, precision, pairs, log, shipped and precision in PRECISIONS))
    rates: list[list[float]] = [[] for _ in wanted]
    engines = [""] * len(wanted)
    for turn in range(rounds):
        for index, (name, precision, size, _) in enumerate(wanted):
            say(f"round {turn + 1} of {rounds}: {name} in {precision} at {size[0]}x{size[1]}")
            with _open(name, precision, size) as engine:
                inputs = [resize_frame(image, engine.spec)[np.newaxis] for image in images]
                timed = measure_engine(engine, inputs, Schedule(seconds=seconds), in_flight=engine.capacity)
                rates[index].append(timed.figures[THROUGHPUT].median)
                engines[index] = engine.description
    return [
        Point(
            bundle=row["bundle"],
            digest=row["digest"],
            precision=precision,
            side=min(size),
            shipped=shipped,
            dice=float(row["dice"]),
            frames_per_second=statistics.median(rate),
            slowest=min(rate),
            fastest=max(rate),
            engine=engine,
        )
        for (_, precision, size, shipped), row, rate, engine in zip(wanted, rows, rates, engines, strict=True)
    ]


def _open(name: str, precision: str, size: tuple[int, int]) -> Engine:
    return open_engine(name, backend="openvino", precision=precision, size=size, optimise_for="throughput")


def _scored(engine: Engine, precision: str, pairs: Sequence[Pair], log: Path, expected: bool) -> Row:
    """The log's row; where it has none, and none is expected, one is made of this engine."""
    for row in rows_of(read(log), engine.spec):
        if (row["part"], row["precision"]) == (PART, precision):
            return row
    if expected:
        name = engine.spec.name
        raise InputError(
            f"{log}: {name} {engine.spec.digest} was not scored on {PART} in {precision}; first run "
            f"python scripts/score_shipped.py {name}"
        )
    row = make_row(engine.spec, precision, PART, evaluate_engine(engine, pairs))
    append_row(row, log)
    return row
