"""Everything that is measured of one bundle or plan, in turn."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from rtpolyp.inference import open_engine
from rtpolyp.measure.benchmark.clip import read_excerpt
from rtpolyp.measure.benchmark.engine import measure_around, measure_engine
from rtpolyp.measure.benchmark.report import NetworkReport
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Schedule
from rtpolyp.measure.benchmark.stream import Overrun, find_saturation, measure_stream
from rtpolyp.pipeline import settings_for

__all__ = ["Options", "bench_engine"]

AROUND_SECONDS = 0.5  # a hundred frames and more


@dataclass(frozen=True)
class Options:
    """What to measure, and with which engine."""

    backend: str = "auto"
    precision: str = "auto"
    threads: int | None = None  # None: all cores
    paced: float | None = None  # frames/s of a live stream; None: none
    saturation: bool = False  # look for the highest rate of a live stream
    schedule: Schedule = field(default_factory=Schedule)


def bench_engine(
    name: str | Path, clip: Path, options: Options, *, progress: Callable[[str], None] = lambda _: None
) -> NetworkReport:
    """Measure a bundle or a plan: its engine alone, one at a time and busy; then end to end on a clip.

    Files are played through the engine that is busiest, as `rtpolyp run` does; live streams through the one
    that answers soonest. `progress` is told what begins. Raises what opening the engine and the clip raises.
    """
    schedule = options.schedule
    opened = partial(
        open_engine,
        name,
        backend=options.backend,
        precision=options.precision,
        threads=options.threads,
    )
    saturation, notes = None, list[str]()
    progress(f"{name}: opening the engine for latency")
    with opened(optimise_for="latency") as engine:
        spec, excerpt = engine.spec, read_excerpt(clip, engine.spec)
        inputs, crop = excerpt.inputs(), excerpt.view.crop
        progress(f"{name}: one frame at a time")
        alone = measure_engine(engine, inputs, schedule)
        around = measure_around(excerpt, engine, settings_for(spec), AROUND_SECONDS)
        measurements = [dataclasses.replace(alone, samples=alone.samples | around)]
    progress(f"{name}: opening the engine for throughput")
    with opened(optimise_for="throughput") as engine:
        progress(f"{name}: {engine.capacity} frames in flight")
        measurements.append(measure_engine(engine, inputs, schedule, in_flight=engine.capacity))
        progress(f"{name}: end to end")
        whole = measure_stream(engine, clip, crop, schedule)
        measurements.append(whole)
    if options.paced is not None or options.saturation:
        with opened(optimise_for="latency") as engine:
            live = partial(measure_stream, engine, clip, crop, schedule)
            if options.paced is not None:
                progress(f"{name}: live at {options.paced:g} frames/s")
                try:
                    measurements.append(live(rate=options.paced))
                except Overrun as exc:  # which is a result, too, and the others are still wanted
                    notes.append(str(exc))
            if options.saturation:
                progress(f"{name}: the highest live rate")
                first = whole.figures[THROUGHPUT].median / 2
                saturation = find_saturation(lambda rate: live(rate=rate), first)
    return NetworkReport(
        bundle=spec.name,
        digest=spec.digest,
        network=spec.network,
        encoder=spec.encoder,
        size=spec.size,
        measurements=tuple(measurements),
        saturation=saturation,
        notes=tuple(notes),
    )
