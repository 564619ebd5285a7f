"""check_live and check_faults: the path of a live source, at the display and in the recording."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from rtpolyp.inference.isolated.engine import EngineRecipe
from rtpolyp.live.session import frame_seconds
from rtpolyp.live_run import open_live_engine, run_live
from rtpolyp.measure.statistics import percentile
from rtpolyp.report.lines import Summary, read_lines
from rtpolyp.settings import Settings
from rtpolyp.verify.counter import read_counter
from rtpolyp.verify.faults import ENGINE_FAULTS, FAULT_SECONDS, SOURCE_FAULTS, Disturbed, SabotagedRecipe
from rtpolyp.verify.figure import Figure, figure
from rtpolyp.verify.matching import match_frames
from rtpolyp.video.frame import Frame
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_live, open_source

__all__ = ["FAULTS", "check_faults", "check_live"]

FAULTS = (*ENGINE_FAULTS, *SOURCE_FAULTS)
EARLY_SECONDS = 0.5  # that a fault may come before its time, which counts from the first picture
PROMISED_INTERVALS = 2  # that may pass between two pictures


@dataclass
class _Eye:
    """A display that notes when it was given which picture, and lights a fuse."""

    fuse: Path | None = None
    shown: list[tuple[float, int | None]] = field(default_factory=list)  # time.monotonic(), counter
    times: list[float] = field(default_factory=list)

    def show(self, frame: Frame) -> None:
        """Note what is shown, and when."""
        now = time.monotonic()
        self.times.append(now)
        self.shown.append((now, read_counter(frame.luma())))
        if self.fuse is not None and now - self.times[0] > FAULT_SECONDS:
            self.fuse.touch()
            self.fuse = None

    @property
    def longest_gap_ms(self) -> float | None:
        """The longest gap between two pictures, in milliseconds."""
        gaps = [after - before for before, after in pairwise(self.times)]
        return 1000 * max(gaps) if gaps else None


class _Captured:
    """A live source that notes when each counted frame left the decoder."""

    def __init__(self, source: Any) -> None:
        object.__setattr__(self, "_source", source)
        object.__setattr__(self, "at", {})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._source, name, value)  # the tap of a recording

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._source:
            if (number := read_counter(frame.luma())) is not None:
                self.at.setdefault(number, frame.captured_at)
            yield frame


def check_live(
    clip: Path, folder: Path, recipe: EngineRecipe, settings: Settings, *, counted: bool
) -> list[Figure]:
    """Play a clip as a live source, with an overlay's recording and results in `folder`.

    Delays are of a clip whose pictures are `counted`. Raises what `run_live` raises.
    """
    outputs = Outputs(video=folder / "live.mp4", json=folder / "live.jsonl")
    eye = _Eye()
    with open_live(clip) as source:
        captured = _Captured(source)
        errors = _session(captured, recipe, settings, outputs, eye)
        interval_ms = 1000 * frame_seconds(source)
    sample = f"{len(eye.times)} pictures"
    figures = [figure("display_gap", eye.longest_gap_ms, sample, PROMISED_INTERVALS * interval_ms)]
    if counted:
        delays = [1000 * (at - captured.at[n]) for at, n in eye.shown if n is not None and n in captured.at]
        missing = len(captured.at.keys() - {number for _, number in eye.shown})
        figures += [
            *_spread("picture_delay", delays, f"{len(delays)} of {sample} with a readable counter"),
            figure("not_shown", missing, f"{len(captured.at)} frames"),
        ]
    else:
        figures.append(figure("picture_delay", None, "the clip's pictures have no counter"))
    figures += _mark_ages(folder / "live.jsonl")
    if errors:
        return [*figures, figure("recorded_time", None, errors[0].replace(str(folder) + "/", ""))]
    return [*figures, _recorded_time(clip, folder / "live.mp4", counted)]


def check_faults(clip: Path, folder: Path, recipe: EngineRecipe, settings: Settings) -> list[Figure]:
    """Play a clip of more than four seconds once a fault; each shows what becomes of the picture."""
    figures = []
    for fault in FAULTS:
        log, fuse = folder / "faults.log", folder / "fuse"
        log.unlink(missing_ok=True)
        is_engine = fault in ENGINE_FAULTS
        eye = _Eye(fuse if is_engine else None)
        with open_live(clip) as source:
            disturbed: Any = source if is_engine else Disturbed(source, SOURCE_FAULTS[fault])
            faulty = SabotagedRecipe(fault, fuse, recipe) if is_engine else recipe
            _session(disturbed, faulty, settings, Outputs(log=log), eye)
            limit = 1000 * PROMISED_INTERVALS * frame_seconds(source)
        figures.append(figure(f"fault_gap:{fault}", eye.longest_gap_ms, f"{len(eye.times)} pictures", limit))
        figures.append(_outage(fault, log))
    return figures


def _session(source: Any, recipe: Any, settings: Settings, outputs: Outputs, eye: _Eye) -> list[str]:
    """Run it to the source's end; what became of outputs that ended early."""
    summary = run_live(source, outputs, model=open_live_engine(recipe), settings=settings, display=eye)
    return [str(error) for error in summary.errors]


def _spread(name: str, values: list[float], sample: str) -> list[Figure]:
    if not values:
        return [figure(f"{name}:{rank}", None, sample) for rank in ("median", "99 %", "longest")]
    return [
        figure(f"{name}:median", percentile(values, 50), sample),
        figure(f"{name}:99 %", percentile(values, 99), sample),
        figure(f"{name}:longest", max(values), sample),
    ]


def _mark_ages(results: Path) -> list[Figure]:
    """The ages of marks, from the histogram by milliseconds in the summary of the results."""
    pairs: list[tuple[float, int]] = []
    for line in read_lines(results):
        if isinstance(line, Summary):
            pairs = line.fields.get("times_ms", {}).get("overlay_age", [])
    ages = [float(upper) for upper, count in pairs for _ in range(int(count))]
    return _spread("mark_age", ages, f"{len(ages)} pictures with a result")


def _recorded_time(clip: Path, recording: Path, counted: bool) -> Figure:
    """A live session begins when it begins, so the first frame that it recorded is the origin."""
    with open_source(clip) as source, open_source(recording) as recorded:
        errors: dict[int, float] = {}
        for match in match_frames(iter(source), recorded, counted=counted):
            error = match.recorded.pts_seconds - match.original.pts_seconds
            errors.setdefault(match.original.index, error)
    if not errors:
        return figure("recorded_time", None, "no frame was recorded")
    first = errors[min(errors)]
    largest = max(abs(error - first) for error in errors.values())
    return figure("recorded_time", 1000 * largest, f"{len(errors)} frames")


def _outage(fault: str, log: Path) -> Figure:
    name = f"fault_outage:{fault}"
    works = {"ai": True, "source": True}
    off: float | None = None
    begun: float | None = None
    for event in map(json.loads, log.read_text("utf-8").splitlines()):
        at = event["monotonic"]
        begun = at if begun is None else begun
        if event["event"] not in works or at - begun < FAULT_SECONDS - EARLY_SECONDS:
            continue
        works[event["event"]] = event.get("signal", event.get("state") != "off")
        if off is None and not all(works.values()):
            off = at
        elif off is not None and all(works.values()):
            return figure(name, at - off, "one session")
    if off is None:
        return figure(name, 0.0, "neither was ever off")
    return figure(name, None, "one was off until the session's end", limit=0.0)
