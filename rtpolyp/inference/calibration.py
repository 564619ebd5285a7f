"""Which precision is fastest here: measured for about a second, once per processor, then remembered.

Flags do not tell. AMX favours bf16 and VNNI INT8, but on AVX2 alone INT8 was 1.2 × as fast as FP32 in latency
and 1.4 × in throughput, and a processor may list bf16 and still gain nothing from it.
"""

import hashlib
import json
import logging
import os
import statistics
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.inference.engine import Engine, Goal, Prediction
from rtpolyp.inference.processor import Processor
from rtpolyp.spec import Precision

__all__ = ["CalibrationKey", "cache_folder", "choose", "measure", "recall", "remember"]

log = logging.getLogger(__name__)

SECONDS = 1.0  # of timing, for all candidates together; compiling them comes on top
ROUNDS = 5  # at least: a median of fewer is an accident
NOISE = 0.05  # medians closer than this changed order between runs on a shared machine


@dataclass(frozen=True)
class CalibrationKey:
    """All that a calibration depends on; if any of it changes, it is measured again."""

    processor: Processor
    library: str  # name and version
    bundle: str  # Bundle.digest
    size: tuple[int, int]  # (width, height) of the input, in pixels
    optimise_for: Goal
    threads: int | None
    batch: int

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def measure(engines: Mapping[Precision, Engine], seconds: float = SECONDS) -> dict[Precision, float]:
    """Milliseconds per frame of each engine: the median over turns, taken alternately for `seconds` in all.

    Alternating lets a change in the machine's load meet all candidates alike. An engine's requests are kept
    in flight up to its capacity, so that streams count where there are several.
    """
    turns: dict[Precision, list[float]] = {precision: [] for precision in engines}
    batches = {precision: _frames(engine) for precision, engine in engines.items()}
    for precision, engine in engines.items():
        _turn(engine, batches[precision])  # the first inference allocates
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline or min(map(len, turns.values())) < ROUNDS:
        for precision, engine in engines.items():
            turns[precision].append(_turn(engine, batches[precision]))
    return {precision: 1000 * statistics.median(samples) for precision, samples in turns.items()}


def choose(milliseconds: Mapping[Precision, float]) -> Precision:
    """The fastest precision; FP32 unless another is faster by more than the noise."""
    fastest = min(milliseconds, key=lambda precision: milliseconds[precision])
    return fastest if milliseconds[fastest] < (1 - NOISE) * milliseconds["fp32"] else "fp32"


def cache_folder() -> Path:
    """`$RTPOLYP_CACHE`, else `rtpolyp` under `$XDG_CACHE_HOME` or `~/.cache`."""
    if own := os.environ.get("RTPOLYP_CACHE"):
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rtpolyp"


def recall(folder: Path, key: CalibrationKey) -> dict[Precision, float] | None:
    """The milliseconds per frame remembered for `key`; None when there are none or the file is broken."""
    path = _file(folder, key)
    try:
        milliseconds = json.loads(path.read_text(encoding="utf-8"))["milliseconds"]
        if not (milliseconds.keys() <= set(get_args(Precision)) and milliseconds["fp32"] > 0):
            raise ValueError("not a calibration")
        return {precision: float(value) for precision, value in milliseconds.items()}
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        log.info("%s: not usable (%s); measuring again", path, exc)
        return None


def remember(folder: Path, key: CalibrationKey, milliseconds: Mapping[Precision, float]) -> None:
    """Write a calibration, whole or not at all; a folder that cannot be written costs only the next start."""
    path = _file(folder, key)
    content = {"key": asdict(key), "milliseconds": milliseconds}
    try:
        write_whole(path, json.dumps(content, indent=1).encode())
    except OSError as exc:
        log.info("%s: not written (%s); the next start measures again", path, exc)


def _file(folder: Path, key: CalibrationKey) -> Path:
    return folder / f"calibration-{key.digest}.json"


def _frames(engine: Engine) -> NDArray[np.uint8]:
    """Seeded noise: speed does not depend on what a frame shows."""
    shape = (1, engine.spec.height, engine.spec.width, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _turn(engine: Engine, frames: NDArray[np.uint8]) -> float:
    """Seconds per frame over two rounds of all slots."""
    requests = 2 * engine.capacity
    in_flight: deque[Future[Prediction]] = deque()
    start = time.perf_counter()
    for _ in range(requests):
        if len(in_flight) == engine.capacity:
            in_flight.popleft().result()
        in_flight.append(engine.submit(frames))
    for future in in_flight:
        future.result()
    return (time.perf_counter() - start) / requests
