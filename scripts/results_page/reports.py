"""Reading the reports in docs/results, and writing Markdown tables."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rtpolyp.inference.bundle import load_bundle

__all__ = ["RESULTS", "against", "interval", "percent", "read", "share", "table", "weights"]

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"


def read(name: str) -> Any:
    """One report, by its path in docs/results."""
    return json.loads((RESULTS / name).read_text(encoding="utf-8"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)]


def interval(low_high: Sequence[float] | None, scale: float = 1, digits: int = 3) -> str:
    """` [low, high]`, or nothing where there is none."""
    if low_high is None:
        return ""
    low, high = (f"{scale * value:.{digits}f}" for value in low_high)
    return f" [{low}, {high}]"


def share(part: int, total: int, low_high: Sequence[float]) -> str:
    """`12.0 % [8.0, 17.0]`."""
    return f"{100 * part / total:.1f} %{interval(low_high, 100, 1)}"


def percent(part: int, total: int, low_high: Sequence[float]) -> str:
    """`12.0 % [8.0, 17.0] of 200`."""
    return f"{share(part, total, low_high)} of {total}"


def weights(report: Mapping[str, Any], bundle: str) -> str:
    """Whether a report was made with the weights that are shipped, as a remark that follows a figure."""
    spec = load_bundle(bundle).spec
    made_with = report.get("sha256") or report.get("digest")
    return "" if made_with in (spec.sha256, spec.digest) else ", earlier weights"


def against(gain: float) -> str:
    """A difference of Dice with its sign, zero without one."""
    text = f"{gain:+.3f}".replace("-", "−")
    return "0.000" if text in ("+0.000", "−0.000") else text
