"""A benchmark's report: what was measured, on what, as JSON."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError, OutputError
from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.measure.benchmark.machine import Machine
from rtpolyp.measure.benchmark.samples import Measurement, Schedule
from rtpolyp.measure.benchmark.stability import doubts
from rtpolyp.measure.benchmark.stream import Saturation

__all__ = ["SCHEMA", "NetworkReport", "Report", "read_report", "to_dict", "write_report"]

SCHEMA = 1


@dataclass(frozen=True)
class NetworkReport:
    """All measurements of one bundle."""

    bundle: str
    digest: str  # EngineSpec.digest
    network: str
    encoder: str
    size: tuple[int, int]  # (width, height), pixels, of the network's input
    measurements: tuple[Measurement, ...]
    saturation: Saturation | None = None  # None when it was not looked for
    notes: tuple[str, ...] = ()  # what could not be measured, and why


@dataclass(frozen=True)
class Report:
    """One run of `rtpolyp bench`."""

    machine: Machine
    threads: int  # that an engine may use
    clip: str  # which one, so that another is told from it
    schedule: Schedule
    networks: list[NetworkReport] = field(default_factory=list)


def to_dict(report: Report) -> dict[str, Any]:
    """The report in plain types, each figure as its Summary: samples stay out, their blocks are kept."""
    networks = []
    for network in report.networks:
        fields = {name: value for name, value in vars(network).items() if name != "measurements"}
        saturation = None if network.saturation is None else asdict(network.saturation)
        measurements = [_measurement(measurement) for measurement in network.measurements]
        networks.append(fields | {"saturation": saturation, "measurements": measurements})
    return {
        "schema": SCHEMA,
        "machine": asdict(report.machine),
        "threads": report.threads,
        "clip": report.clip,
        "schedule": asdict(report.schedule),
        "networks": networks,
    }


def write_report(report: Report, path: Path) -> None:
    """Write the report as JSON; raises OutputError when that fails."""
    try:
        write_whole(path, (json.dumps(to_dict(report), indent=1) + "\n").encode())
    except OSError as exc:
        raise OutputError(f"{path}: cannot be written ({exc.strerror}); give another path") from exc


def read_report(path: Path) -> dict[str, Any]:
    """Read what `write_report` wrote; raises InputError for anything else."""
    remedy = "give a file that rtpolyp bench --json wrote"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); {remedy}") from exc
    except ValueError as exc:
        raise InputError(f"{path}: is not JSON ({exc}); {remedy}") from exc
    if not isinstance(content, dict) or content.get("schema") != SCHEMA or "networks" not in content:
        raise InputError(f"{path}: is no benchmark report of schema {SCHEMA}; {remedy}")
    return content


def _measurement(measurement: Measurement) -> dict[str, Any]:
    return {
        "name": measurement.name,
        "headline": measurement.headline,
        "engine": measurement.engine,
        "figures": {name: asdict(summary) for name, summary in measurement.figures.items()},
        "dropped": measurement.dropped,
        "late": measurement.late,
        "conditions": asdict(measurement.conditions),
        "doubts": doubts(measurement),
        "notes": measurement.notes,
    }
