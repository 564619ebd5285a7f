"""What `rtpolyp bench` prints: the machine, each network's figures, and how they compare."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from rtpolyp.measure.benchmark.compare import Change
from rtpolyp.measure.benchmark.machine import Machine
from rtpolyp.measure.benchmark.report import NetworkReport
from rtpolyp.measure.benchmark.samples import THROUGHPUT, Measurement, Summary
from rtpolyp.measure.benchmark.stability import describe, doubts
from rtpolyp.measure.benchmark.stream import GLASS, Saturation

__all__ = ["print_changes", "print_machine", "print_network"]

LABELS = {  # trtexec's words where it has one
    THROUGHPUT: "Throughput, frames/s",
    "latency": "Latency, ms",
    "enqueue": "Enqueue Time",
    "h2d": "H2D Latency",
    "compute": "Compute Time",
    "d2h": "D2H Latency",
    GLASS: "Glass-to-glass, ms",
}


def print_machine(machine: Machine, console: Console) -> None:
    """Processor, card, system and versions."""
    lines = [
        f"{machine.processor}, {machine.cores} cores, {' '.join(machine.instruction_sets)}",
        f"{machine.card}, driver {machine.driver}" if machine.card else "no NVIDIA card",
        f"{machine.system}, Python {machine.python}, revision {machine.revision or 'unknown'}",
        ", ".join(f"{name} {version}" for name, version in machine.versions.items()),
    ]
    console.print(*lines, sep="\n", highlight=False, markup=False, soft_wrap=True)


def print_network(network: NetworkReport, console: Console) -> None:
    """All measurements of one network, and what makes them doubtful."""
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


def print_changes(changes: Sequence[Change], old: Path, fail_above: float, console: Console) -> None:
    """Each measurement against that of an earlier report; `fail_above` is in percent."""
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
