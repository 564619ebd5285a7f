"""Frames a second of the exported arms and the size of their plans, which `scripts/measure_arms.py` wrote."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.errors import InputError

__all__ = ["EngineRates", "read_engine_rates"]


@dataclass(frozen=True)
class EngineRates:
    """One run of all arms."""

    source: str  # engine, machine and command, in words
    arms: dict[str, dict[str, Any]]  # "ROW ARM" → float32 and best rate, best precision, plan in bytes

    def cells(self, row: str, arm: str) -> list[str]:
        """Rate in FP32, rate in the best precision, and the size of the plan in megabytes."""
        found = self.arms.get(f"{row} {arm}")
        if found is None:
            return ["–", "–", "–"]
        plan = found.get("plan_bytes")
        best = f"{found['best']:.0f} ({found['best_precision']})"
        return [f"{found['float32']:.0f}", best, f"{plan / 1e6:.1f}" if plan else "–"]


def read_engine_rates(file: Path) -> EngineRates | None:
    """None where they have not been measured. Raises InputError for a broken file."""
    if not file.is_file():
        return None
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        return EngineRates(content["source"], content["arms"])
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise InputError(f"{file}: not the rates of the arms ({exc!r}). Measure them again") from exc
