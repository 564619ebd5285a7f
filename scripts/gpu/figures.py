"""An engine's figures in plain types."""

from dataclasses import asdict
from typing import Any

import numpy as np

from rtpolyp.inference.engine import Engine
from rtpolyp.measure.benchmark.engine import measure_engine
from rtpolyp.measure.benchmark.samples import Measurement, Schedule

__all__ = ["measured"]

INPUTS = 16  # different frames in turn, so that no cache holds the one


def measured(engine: Engine, seconds: float, in_flight: int | None = None) -> dict[str, Any]:
    """Figures one frame at a time, or with so many in flight; the words are trtexec's, times in ms."""
    size = engine.spec.height, engine.spec.width
    noise = np.random.default_rng(0).integers(0, 256, (INPUTS, 1, *size, 3), np.uint8)
    schedule = Schedule(warm_up_seconds=min(0.5, seconds), seconds=seconds)
    return as_dict(measure_engine(engine, list(noise), schedule, in_flight=in_flight))


def as_dict(measurement: Measurement) -> dict[str, Any]:
    """Medians, p99 and count of each figure."""
    figures = {}
    for name, summary in measurement.figures.items():
        whole = asdict(summary)
        figures[name] = {key: whole[key] for key in ("median", "p99", "minimum", "maximum", "count")}
    return {"engine": measurement.engine, "figures": figures}
