"""What scripts/build_engine.py says of a plan, and how another machine builds the same."""

import shlex
from pathlib import Path

from rtpolyp.inference.tensorrt.plan import PlanSpec

__all__ = ["command_elsewhere", "report"]


def command_elsewhere(options: list[str]) -> str:
    """The same command for whatever card and version another machine has."""
    kept: list[str] = []
    words = iter(options)
    for word in words:
        if word.split("=")[0] not in ("--flavour", "--target", "--frames", "--out", "-o"):
            kept.append(word)
        elif "=" not in word:
            next(words, None)
    return shlex.join(["python", "scripts/build_engine.py", *kept])


def report(path: Path, spec: PlanSpec) -> str:
    """What was built, in a few lines."""
    size = path.stat().st_size / 1e6
    lines = [f"{path}: {size:.1f} MB, built in {spec.build_seconds:.1f} s for {spec.built_for}"]
    for precision, kinds in spec.operations.items():
        most_first = sorted(kinds.items(), key=lambda item: -item[1])
        lines.append(f"{precision} operations: {', '.join(f'{count} {kind}' for kind, count in most_first)}")
    weights = ", ".join(f"{count:,} {precision}" for precision, count in spec.weights.items())
    lines.append(f"weights: {weights or 'as torch-tensorrt took them'}")
    parity = spec.parity
    if not spec.trained:
        lines.append("random weights: for latency alone, rtpolyp run refuses this plan")
    elif not parity:
        lines.append("not compared with FP32: that needs a run on the card")
    else:
        lines.append(
            f"typed graph against FP32 on {parity['frames']} frames ({parity['on']}): mask Dice "
            f"{parity['dice']:.4f} (at least {parity['least']}), probability within {parity['levels']}/255"
        )
    if "typed_dice" in parity:
        lines.append(f"Dice against the truth: {parity['typed_dice']:.4f}, FP32 {parity['exact_dice']:.4f}")
    return "\n".join(lines)
