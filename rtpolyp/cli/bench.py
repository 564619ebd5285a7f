"""`rtpolyp bench`: how fast this machine runs each network, alone and end to end."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.checks import require_choice
from rtpolyp.cli.flags import EngineFlags
from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, known_bundles, load_bundle
from rtpolyp.measure.benchmark.bench import Options, bench_engine
from rtpolyp.measure.benchmark.clip import open_clip
from rtpolyp.measure.benchmark.compare import Change, compare
from rtpolyp.measure.benchmark.histogram import Panel, write_histograms
from rtpolyp.measure.benchmark.machine import Machine, this_machine
from rtpolyp.measure.benchmark.report import NetworkReport, Report, to_dict, write_report
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Measurement, Schedule, Summary
from rtpolyp.measure.benchmark.stability import describe, doubts
from rtpolyp.measure.benchmark.stream import GLASS, Saturation
from rtpolyp.phantom_clip import render_clip
from rtpolyp.spec import sha256_of
from rtpolyp.terminal.console import make_console, say_written
from rtpolyp.video.output_paths import prepare_file

__all__ = ["NETWORKS", "bench"]

NETWORKS = (
    tuple(  # the paper's; others are known by their bundles. Spelled as `python -m train --list` has them
        f"{name}{fusion}"
        for name in ("fcn", "unet", "unetpp", "resunetpp", "pranet")
        for fusion in ("", "-if")
    )
)
CLIP_SECONDS = 4.0  # the phantom's first polyp is in view for half of that
LABELS = {  # trtexec's words where it has one
    THROUGHPUT: "Throughput, frames/s",
    "latency": "Latency, ms",
    "enqueue": "Enqueue Time",
    "h2d": "H2D Latency",
    "compute": "Compute Time",
    "d2h": "D2H Latency",
    GLASS: "Glass-to-glass, ms",
}


def bench(
    *,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    net: Annotated[list[str] | None, Parameter(negative="")] = None,
    every: Annotated[bool, Parameter(name="--all", negative="")] = False,
    video: Path | None = None,
    paced: float | None = None,
    saturation: Annotated[bool, Parameter(negative="")] = False,
    duration: float = 3.0,
    json: Path | None = None,
    histogram: Path | None = None,
    old: Annotated[Path | None, Parameter(name="--compare")] = None,
    fail_above: float = 10.0,
) -> int:
    """Measure how fast this machine runs a network: its engine alone, and end to end on a clip.

    Exit code 1 says that --compare found a measurement slower. See docs/bench.md for what each figure means.

    Parameters
    ----------
    net
        A network of the paper instead, by every bundle of it; may be given several times.
    every
        All networks that have a bundle, and which have none.
    video
        The clip to play; a phantom of 4 s at 1280x1024 by default.
    paced
        Also play the clip as a live stream at so many frames/s; latency counts from a frame's due time.
    saturation
        Also look for the highest live rate with p99 of the latency under one frame interval and no drop.
    duration
        Seconds of each measurement, after a warm-up of 0.2 s.
    json
        Write the report.
    histogram
        Write a picture of the latencies' distribution, a PNG.
    old
        Compare with the report of an earlier run on the same machine.
    fail_above
        Percent by which a measurement may be slower than in that report, beyond noise.
    """
    engines, missing = _choose(engine.engine, net or [], every)
    _check(duration, fail_above, video, [path for path in (json, histogram) if path is not None])
    console = make_console()
    machine, schedule = this_machine(), Schedule(seconds=duration)
    options = Options(engine.backend, engine.precision, engine.threads, paced, saturation, schedule)
    report = Report(machine, engine.threads or machine.cores, _name(video), schedule)
    if old is not None:
        compare(to_dict(report), old, 0.0)  # refuses another machine or clip before the work
    _print_machine(machine, console)
    with console.status("") as status, tempfile.TemporaryDirectory() as folder:
        clip = video
        if clip is None:
            status.update(f"rendering {CLIP_SECONDS:g} s of phantom")
            render_clip(clip := Path(folder, "phantom.mp4"), seconds=CLIP_SECONDS)
        for name in engines:
            network = bench_engine(name, clip, options, progress=status.update)
            _print_network(network, console)
            report.networks.append(network)
    for name in missing:
        remedy = f"python -m train --net {name} … and python -m train.export … -o engines/{name}"
        console.print(f"{name}: no bundle to run; train and export one: {remedy}", style="yellow")
    if json is not None:
        write_report(report, json)
    if histogram is not None:
        write_histograms(_panels(report), histogram)
    say_written((json, histogram), console)
    if old is None:
        return 0
    changes = compare(to_dict(report), old, fail_above / 100)
    _print_changes(changes, old, fail_above, console)
    return int(any(change.verdict == "slower" for change in changes))


def _choose(engine: str | None, nets: Sequence[str], every: bool) -> tuple[list[str], list[str]]:
    """The engines to run, and the networks that have none; a network that was asked for must have one."""
    if (engine is not None) + bool(nets) + every > 1:
        raise InputError("--engine, --net and --all exclude each other: give one of them")
    if not nets and not every:
        if not Path(engine := engine or DEFAULT_BUNDLE).is_file():  # a plan is one, and checked when opened
            load_bundle(engine)
        return [engine], []
    networks = {name: load_bundle(name).spec.network for name in known_bundles()}
    known = tuple(dict.fromkeys((*NETWORKS, *networks.values())))
    for net in nets:
        require_choice("net", net, known)
    wanted = known if every else nets
    missing = [net for net in wanted if net not in networks.values()]
    if nets and missing:
        raise InputError(
            f" {missing[0]}: no bundle of it; train it (python -m train --net {missing[0]} …) and export "
            "it, or give the folder of one with --engine",
            parameter="net",
        )
    return [name for name, network in networks.items() if network in wanted], missing


def _check(duration: float, fail_above: float, video: Path | None, outputs: Sequence[Path]) -> None:
    """Refuse before the work what would fail after it."""
    if not duration > 0:
        raise InputError(f" {duration:g}: give seconds above 0", parameter="duration")
    if not fail_above >= 0:
        raise InputError(f" {fail_above:g}: give percent, 0 or more", parameter="fail_above")
    if video is not None:
        open_clip(video).close()
    for path in outputs:
        prepare_file(path)


def _name(video: Path | None) -> str:
    if video is None:
        return f"phantom, seed 0, 1280x1024, {CLIP_SECONDS:g} s"
    return f"{video.name}, SHA-256 {sha256_of(video)[:16]}"


def _panels(report: Report) -> list[Panel]:
    return [
        Panel(f"{network.bundle}: {measurement.name}, {figure}", measurement.samples[figure])
        for network in report.networks
        for measurement in network.measurements
        for figure in ("latency", GLASS)
        if figure in measurement.samples
    ]


def _print_machine(machine: Machine, console: Console) -> None:
    lines = [
        f"{machine.processor}, {machine.cores} cores, {' '.join(machine.instruction_sets)}",
        f"{machine.card}, driver {machine.driver}" if machine.card else "no NVIDIA card",
        f"{machine.system}, Python {machine.python}, revision {machine.revision or 'unknown'}",
        ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    ]
    console.print(*lines, sep="\n", highlight=False, markup=False, soft_wrap=True)


def _print_network(network: NetworkReport, console: Console) -> None:
    what = f"{network.network} on {network.encoder}, {'x'.join(map(str, network.size))}"
    title = f"\n{network.bundle}: {what}, digest {network.digest}"
    console.print(title, style="bold", highlight=False, soft_wrap=True)
    for measurement in network.measurements:
        _print_measurement(measurement, console)
    if network.saturation is not None:
        _print_saturation(network.saturation, console)
    for note in network.notes:
        _warn(note, console)


def _print_measurement(measurement: Measurement, console: Console) -> None:
    columns = ("min", "mean", "median", "p90", "p95", "p99", "p99.9", "max", "samples")
    table = Table("", *columns, title=measurement.name, title_justify="left", box=None)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, figure in measurement.figures.items():
        table.add_row(LABELS.get(name, name), *_cells(figure), str(figure.count))
    console.print("", table, sep="\n")
    lines = [measurement.engine, *measurement.notes]
    if measurement.dropped is not None:
        lines.append(f"{measurement.dropped} frames dropped, {measurement.late} late")
    lines.append(describe(measurement.conditions))
    console.print(*lines, sep="\n", highlight=False, markup=False, soft_wrap=True)
    for doubt in doubts(measurement):
        _warn(doubt, console)


def _warn(text: str, console: Console) -> None:
    console.print(f"warning: {text}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _cells(figure: Summary) -> list[str]:
    values = (figure.minimum, figure.mean, figure.median, figure.p90, figure.p95, figure.p99)
    return [
        "–" if value is None else f"{value:.1f}" if value >= 1000 else f"{value:.3f}"
        for value in (*values, figure.p99_9, figure.maximum)
    ]


def _print_saturation(saturation: Saturation, console: Console) -> None:
    table = Table("live rate, frames/s", "p99, ms", "dropped", "", title="saturation search", box=None)
    table.title_justify = "left"
    for trial in saturation.trials:
        p99 = "–" if trial.p99_ms is None else f"{trial.p99_ms:.1f}"
        dropped = "most" if trial.dropped is None else str(trial.dropped)
        table.add_row(f"{trial.rate:.1f}", p99, dropped, "keeps up" if trial.kept_up else "does not")
    found = "none of these" if saturation.rate is None else f"{saturation.rate:.1f} frames/s"
    console.print("", table, f"highest live rate that it keeps up with: {found}", sep="\n", highlight=False)


def _print_changes(changes: Sequence[Change], old: Path, fail_above: float, console: Console) -> None:
    table = Table("", "then", "now", "time ratio", "interval", "verdict", box=None)
    table.title, table.title_justify = f"against {old}, margin {fail_above:g} %", "left"
    for change in changes:
        table.add_row(
            f"{change.bundle}: {change.measurement}, {change.figure}",
            f"{change.old:.2f}",
            f"{change.new:.2f}",
            f"{change.slowdown:.3f}",
            f"{change.interval.low:.3f} to {change.interval.high:.3f}",
            change.verdict,
        )
    console.print("", table, sep="\n", highlight=False)
