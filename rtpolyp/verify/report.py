"""The report of `rtpolyp verify-video`: a page, JSON, and two reports beside each other."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from rtpolyp.bounded_files import read_json
from rtpolyp.errors import InputError
from rtpolyp.inference.engine import Engine
from rtpolyp.measure.benchmark.machine import this_machine
from rtpolyp.printable import printable
from rtpolyp.report.page import POLICY
from rtpolyp.settings import Settings
from rtpolyp.verify.figure import Figure

__all__ = ["compared", "render", "report_of", "shown"]

SCHEMA = 1
KIND = "rtpolyp verify-video"
SHOWN = "title", "unit", "value"  # of a figure, where two reports are compared
VERDICT_STYLE = "td:nth-child(4) { white-space: nowrap; }\n"
VERDICTS = {True: "passed", False: "FAILED", None: "–"}


def report_of(
    figures: Sequence[Figure], engine: Engine, settings: Settings, inputs: Mapping[str, Path]
) -> dict[str, Any]:
    """What the JSON file holds: figures, environment, bundle, and the hashes of what was read and written."""
    spec = engine.spec
    return {
        "schema": SCHEMA,
        "kind": KIND,
        "figures": [one.to_dict() for one in figures],
        "bundle": {"name": spec.name, "digest": spec.digest, "sha256": spec.sha256},
        "backend": engine.description,
        "settings": asdict(settings),
        "files": {
            role: {"name": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
            for role, path in inputs.items()
        },
        "machine": asdict(this_machine()),
    }


def shown(value: object, unit: str = "") -> str:
    """A figure's value for people."""
    if value is None:
        return "not measured"
    number = f"{value:.4g}" if isinstance(value, (int, float)) else str(value)
    return f"{number} {unit}".strip()


def render(report: Mapping[str, Any]) -> str:
    """The report as one HTML page, without scripts and without anything from elsewhere."""
    failed = [one["title"] for one in report["figures"] if one["passed"] is False]
    verdict = f"Failed: {', '.join(failed)}." if failed else "Every limit is kept."
    rows = []
    for one in report["figures"]:
        limit = "–"
        if one["limit"] is not None:
            limit = f"at {one['bound']} {shown(one['limit'], one['unit'])}"
        cells = (
            shown(one["value"], one["unit"]),
            limit,
            VERDICTS[one["passed"]],
            one["sample"],
            one["method"],
        )
        rows.append(_row(one["title"], *cells))
    head = "".join(
        f'<th scope="col">{name}</th>'
        for name in ("figure", "value", "limit", "verdict", "measured on", "method")
    )
    about = "".join(
        _row(name, printable(str(value)))
        for section in ("bundle", "settings", "machine")
        for name, value in {**report[section]}.items()
    )
    hashes = "".join(_row(f"{role}: {one['name']}", one["sha256"]) for role, one in report["files"].items())
    style = (files("rtpolyp.report") / "report.css").read_text("utf-8") + VERDICT_STYLE
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Verification of the video path</title><style>\n{style}</style></head>\n<body><main>\n"
        "<h1>Verification of the video path</h1>"
        '<p class="notice">Research software, not a medical device. These are figures of one machine, one '
        f"clip and one bundle.</p><p><strong>{escape(verdict)}</strong> {escape(report['backend'])}</p>"
        + _table("".join(rows), f"<thead><tr>{head}</tr></thead>")
        + "<h2>Files</h2>"
        + _table(hashes)
        + "<h2>Bundle, settings and machine</h2>"
        + _table(about)
        + "\n</main></body></html>\n"
    )


class _Read(NamedTuple):
    """A report, as far as `compared` shows it."""

    about: dict[str, str]  # what it was made with, by title
    figures: dict[str, dict[str, Any]]  # by name


def compared(ours: Path, theirs: Path) -> list[tuple[str, ...]]:
    """A row for what each report was made with, then one a figure: title, both values, and their difference.

    Raises InputError where one is no report.
    """
    first, second = _read(ours), _read(theirs)
    rows: list[tuple[str, ...]] = [
        (title, value, second.about[title], "–" if value == second.about[title] else "differs")
        for title, value in first.about.items()
    ]
    for name in dict.fromkeys([*first.figures, *second.figures]):
        pair = first.figures.get(name), second.figures.get(name)
        about = pair[0] or pair[1] or {}
        values = [None if one is None else one["value"] for one in pair]
        numbers = [value for value in values if isinstance(value, (int, float))]
        difference = f"{numbers[1] - numbers[0]:+.4g}" if len(numbers) == 2 else "–"
        rows.append((about["title"], *(shown(value, about["unit"]) for value in values), difference))
    return rows


def _read(path: Path) -> _Read:
    problem = "give the JSON file of rtpolyp verify-video"
    try:
        report = read_json(path)
        if not isinstance(report, dict) or (report.get("schema"), report.get("kind")) != (SCHEMA, KIND):
            raise InputError(f"{path}: no report of this version; {problem}")
        about = {
            "Bundle": f"{report['bundle']['name']} {report['bundle']['digest']}",
            "Processor": str(report["machine"]["processor"]),
            "rtpolyp": str(report["machine"]["versions"]["rtpolyp"]),
            "Clip": str(report["files"]["clip"]["sha256"])[:16],
        }
        figures = {str(one["name"]): {key: one[key] for key in SHOWN} for one in report["figures"]}
    except OSError as exc:
        raise InputError(f"{path}: cannot be read ({exc.strerror}); {problem}") from exc
    except (ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{path}: not a whole report ({exc}); {problem}") from exc
    return _Read(about, figures)


def _table(rows: str, head: str = "") -> str:
    return f'<div class="scroll"><table>{head}<tbody>{rows}</tbody></table></div>'


def _row(title: str, *cells: str) -> str:
    return (
        f'<tr><th scope="row">{escape(title)}</th>'
        + "".join(f"<td>{escape(one)}</td>" for one in cells)
        + "</tr>"
    )
