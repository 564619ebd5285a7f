"""What a run of scripts/gpu_check.py found, as JSON and as a page: figures, then what failed and why."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rtpolyp.inference.atomic_file import write_whole
from rtpolyp.measure.benchmark.machine import Machine
from scripts.gpu.cases import Case
from scripts.gpu.step import Outcome

__all__ = ["file_name", "write_results"]

NOT_RUN = "not run"
# What issue and README promise: step, figure, and the goal.
GOALS = (
    ("plan pranet-if res2net50 352 tensorrt", ("figures", "compute", "median"), "≤", 1.0, "GPU compute, ms"),
    ("plan pranet-if res2net50 352 tensorrt", ("figures", "latency", "p99"), "≤", 1.5, "latency p99, ms"),
    ("plan pranet-if trained tensorrt", ("figures", "compute", "median"), "≤", 0.5, "GPU compute, ms"),
    ("plan pranet-if res2net50 352 tensorrt", ("slots_to_bare_loop",), "≥", 0.95, "3 slots / bare loop"),
)
CONVENTIONS = (
    "Milliseconds, median of one frame at a time; latency is from `submit` until the caller has the result: "
    "with both copies and the threads between. PyTorch is eager FP16 in channels last, and the "
    "same as one CUDA graph; ONNX Runtime is its CUDA provider in FP32."
)
REHEARSAL = (
    "**Without a card: what was measured ran on the processor in FP32, to try the code, and is no result.**"
)


def write_results(
    folder: Path, machine: Machine, command: str, cases: Sequence[Case], outcomes: Sequence[Outcome]
) -> list[Path]:
    """Write both files, whole or not at all; called after every step, so that nothing found is lost."""
    name = file_name(machine)
    content = {"command": command, "machine": asdict(machine), "steps": [asdict(step) for step in outcomes]}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    files = {
        folder / f"{name}.json": text,
        folder / f"{name}.md": page(machine, command, cases, outcomes),
    }
    for path, words in files.items():
        write_whole(path, words.encode())
    return list(files)


def file_name(machine: Machine) -> str:
    """The card's name for a file, or the processor's where there is no card: "nvidia-h100-80gb-hbm3-sm90"."""
    words = re.findall(r"[a-z0-9]+", (machine.card or f"no card {machine.processor}").lower())
    return "gpu-" + "-".join(words)


def page(machine: Machine, command: str, cases: Sequence[Case], outcomes: Sequence[Outcome]) -> str:
    """The page in Markdown."""
    steps = {outcome.name: outcome for outcome in outcomes}
    lines = [
        f"# {machine.card or 'No NVIDIA card: a rehearsal'}",
        "",
        f"`{command}`, {machine.measured_at}, revision {machine.revision or 'unknown'}. Driver "
        f"{machine.driver or 'none'}; {machine.processor}, {machine.cores} cores; {machine.system}. "
        f"{', '.join(f'{name} {version}' for name, version in machine.versions.items())}.",
        "",
        CONVENTIONS,
        *([] if machine.card else ["", REHEARSAL]),
        "",
        *_case_table(cases, steps),
        "",
        "## Plans",
        "",
        *_plan_table(cases, steps),
        "",
        "## Goals",
        "",
        *_goal_table(steps),
        "",
        "## Steps",
        "",
        "| step | | seconds | |",
        "|---|---|---|---|",
        *(f"| {o.name} | {o.status} | {o.seconds:.0f} | {_cell(o.reason)} |" for o in outcomes),
    ]
    return "\n".join(lines) + "\n"


def _case_table(cases: Sequence[Case], steps: Mapping[str, Outcome]) -> list[str]:
    ways = {
        "TensorRT": "plan {} tensorrt",
        "TensorRT for RTX": "plan {} tensorrt-rtx",
        "PyTorch eager": "pytorch-eager {}",
        "PyTorch graph": "pytorch-graph {}",
        "ONNX Runtime": "onnxruntime {}",
    }
    lines = ["| network | " + " | ".join(f"{way}: latency p50, p99" for way in ways) + " |"]
    lines.append("|---" * (1 + len(ways)) + "|")
    for case in cases:
        cells = [_pair(steps.get(step.format(case.label))) for step in ways.values()]
        lines.append(f"| `{case.label}` | {' | '.join(cells)} |")
    return lines


def _plan_table(cases: Sequence[Case], steps: Mapping[str, Outcome]) -> list[str]:
    lines = [
        "| plan | GPU compute | p99 | H2D | D2H | 3 slots, frames/s | bare loop, frames/s | ratio "
        "| mask Dice against ONNX Runtime | MB | built in s |",
        "|---" * 11 + "|",
    ]
    for case in cases:
        for flavour in ("tensorrt", "tensorrt-rtx"):
            result = _result(steps.get(f"plan {case.label} {flavour}"))
            figures = [
                _number(result, "figures", "compute", "median"),
                _number(result, "figures", "compute", "p99"),
                _number(result, "figures", "h2d", "median"),
                _number(result, "figures", "d2h", "median"),
                _number(result, "slots", digits=0),
                _number(result, "bare_loop", digits=0),
                _number(result, "slots_to_bare_loop"),
                _number(result, "parity", "dice", digits=4) if case.trained else "random weights",
                _number(result, "megabytes", digits=1),
                _number(result, "build_seconds", digits=0),
            ]
            lines.append(f"| `{case.label}` {flavour} | {' | '.join(figures)} |")
    return lines


def _goal_table(steps: Mapping[str, Outcome]) -> list[str]:
    lines = ["| goal | measured | |", "|---|---|---|"]
    for step, keys, sign, goal, words in GOALS:
        value = _dig(_result(steps.get(step)), keys)
        verdict = ""
        if value is not None:
            verdict = "met" if (value <= goal if sign == "≤" else value >= goal) else "**missed**"
        measured = NOT_RUN if value is None else f"{value:.3f}"
        lines.append(f"| {step.removeprefix('plan ')}: {words} {sign} {goal} | {measured} | {verdict} |")
    return lines


def _result(outcome: Outcome | None) -> dict[str, Any]:
    return outcome.result if outcome is not None and outcome.status == "passed" else {}


def _pair(outcome: Outcome | None) -> str:
    result = _result(outcome)
    if not result:
        return NOT_RUN
    return ", ".join(_number(result, "figures", "latency", rank) for rank in ("median", "p99"))


def _number(result: dict[str, Any], *keys: str, digits: int = 3) -> str:
    value = _dig(result, keys)
    return NOT_RUN if value is None else f"{value:.{digits}f}"


def _dig(result: dict[str, Any], keys: Sequence[str]) -> float | None:
    value: Any = result
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
