"""`rtpolyp bench`: how fast this machine runs each network, alone and end to end."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console

from rtpolyp.checks import require_choice
from rtpolyp.cli.bench_tables import print_changes, print_machine, print_network
from rtpolyp.cli.flags import EngineFlags
from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import DEFAULT_BUNDLE, known_bundles, load_bundle
from rtpolyp.inference.remote.address import is_remote
from rtpolyp.measure.benchmark.bench import Options, bench_engine
from rtpolyp.measure.benchmark.clip import open_clip
from rtpolyp.measure.benchmark.compare import compare
from rtpolyp.measure.benchmark.histogram import Panel, write_histograms
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.measure.benchmark.networks import PAPER_NETWORKS
from rtpolyp.measure.benchmark.report import NetworkReport, Report, to_dict, write_report
from rtpolyp.measure.benchmark.samples import Schedule
from rtpolyp.measure.benchmark.stream import GLASS
from rtpolyp.phantom_clip import render_clip
from rtpolyp.spec import sha256_of
from rtpolyp.terminal.console import make_console, say_written
from rtpolyp.video.output_paths import prepare_file

__all__ = ["bench"]

CLIP_SECONDS = 4.0  # the phantom's first polyp is in view for half of that


@Parameter(name="*")
@dataclass(frozen=True)
class NetworkFlags:
    """Which networks of the paper run, in place of --engine.

    Parameters
    ----------
    net
        A network of the paper in place of --engine, with every bundle of it; may be given several times.
    every
        All networks that have a bundle; those that have none are listed.
    """

    net: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = ()
    every: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False


@Parameter(name="*")
@dataclass(frozen=True)
class MeasuringFlags:
    """What is measured, and for how long.

    Parameters
    ----------
    video
        The clip to play; a phantom of 4 s at 1280x1024 by default.
    paced
        Also play the clip as a live stream at so many frames/s; latency counts from a frame's due time.
    saturation
        Also look for the highest live rate with p99 of the latency under one frame interval and no drop.
    duration
        Seconds of each measurement, after a warm-up of 0.2 s.
    """

    video: Path | None = None
    paced: float | None = None
    saturation: Annotated[bool, Parameter(negative="", show_default=False)] = False
    duration: float = 3.0


@Parameter(name="*")
@dataclass(frozen=True)
class ReportFlags:
    """What becomes of the measurements.

    Parameters
    ----------
    json
        Write the report.
    histogram
        Write a picture of the latencies' distribution, a PNG.
    old
        Compare with the report of an earlier run on the same machine.
    fail_above
        Percent by which a measurement may be slower than in that report, beyond noise.
    """

    json: Path | None = None
    histogram: Path | None = None
    old: Annotated[Path | None, Parameter(name="--compare")] = None
    fail_above: float = 10.0


def bench(
    *,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    networks: NetworkFlags = NetworkFlags(),
    measuring: MeasuringFlags = MeasuringFlags(),
    output: ReportFlags = ReportFlags(),
) -> int:
    """Measure how fast this machine runs a network: its engine alone, and end to end on a clip.

    Exit code 1 says that --compare found a measurement slower. See docs/bench.md for what each figure means.
    """
    engines, missing = _choose(engine.engine, networks.net, networks.every)
    _check(measuring, output)
    console = make_console()
    machine, schedule = this_machine(), Schedule(seconds=measuring.duration)
    options = Options(
        engine.backend, engine.precision, engine.threads, measuring.paced, measuring.saturation, schedule
    )
    report = Report(machine, engine.threads or machine.cores, _name(measuring.video), schedule)
    if output.old is not None:
        compare(to_dict(report), output.old, 0.0)  # refuses another machine or clip before the work
    print_machine(machine, console)
    report.networks.extend(_measure(engines, measuring.video, options, console))
    for name in missing:
        remedy = f"python -m train --net {name} … and python -m train.export … -o engines/{name}"
        console.print(f"{name}: no bundle to run; train and export one: {remedy}", style="yellow")
    if output.json is not None:
        write_report(report, output.json)
    if output.histogram is not None:
        write_histograms(_panels(report), output.histogram)
    say_written((output.json, output.histogram), console)
    if output.old is None:
        return 0
    changes = compare(to_dict(report), output.old, output.fail_above / 100)
    print_changes(changes, output.old, output.fail_above, console)
    return int(any(change.verdict == "slower" for change in changes))


def _measure(
    engines: Sequence[str], video: Path | None, options: Options, console: Console
) -> Iterator[NetworkReport]:
    """Each engine's report, printed as soon as it is there."""
    with console.status("") as status, tempfile.TemporaryDirectory() as folder:
        clip = video
        if clip is None:
            status.update(f"rendering {CLIP_SECONDS:g} s of phantom")
            render_clip(clip := Path(folder, "phantom.mp4"), seconds=CLIP_SECONDS)
        for name in engines:
            network = bench_engine(name, clip, options, progress=status.update)
            print_network(network, console)
            yield network


def _choose(engine: str | None, nets: Sequence[str], every: bool) -> tuple[list[str], list[str]]:
    """The engines to run, and the networks that have none; a network that was asked for must have one."""
    if (engine is not None) + bool(nets) + every > 1:
        raise InputError("--engine, --net and --all exclude each other: give one of them")
    if not nets and not every:
        engine = engine or DEFAULT_BUNDLE
        if not (is_remote(engine) or Path(engine).is_file()):  # a plan is one, and checked when opened
            load_bundle(engine)
        return [engine], []
    networks = {name: load_bundle(name).spec.network for name in known_bundles()}
    known = tuple(dict.fromkeys((*PAPER_NETWORKS, *networks.values())))
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


def _check(measuring: MeasuringFlags, output: ReportFlags) -> None:
    """Refuse before the work what would fail after it."""
    if not measuring.duration > 0:
        raise InputError(f" {measuring.duration:g}: give seconds above 0", parameter="duration")
    if not output.fail_above >= 0:
        raise InputError(f" {output.fail_above:g}: give percent, 0 or more", parameter="fail_above")
    if measuring.video is not None:
        open_clip(measuring.video).close()
    for path in (output.json, output.histogram):
        if path is not None:
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
