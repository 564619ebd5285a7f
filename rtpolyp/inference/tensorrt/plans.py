"""Plans as files: one that was named, or the first beside a bundle that this machine can run."""

from pathlib import Path

from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.inference.bundle import Bundle
from rtpolyp.inference.tensorrt.engine import TensorRtEngine
from rtpolyp.inference.tensorrt.plan import SUFFIX, Plan, PlanPrecision, read_plan

__all__ = ["PREFERENCE", "is_plan", "open_beside", "open_plan", "plan_files"]

PREFERENCE: tuple[PlanPrecision, ...] = ("fp16", "int8", "bf16", "fp32")


def is_plan(engine: str | Path) -> bool:
    """Whether an engine's name is that of a plan's file, there or not, rather than of a bundle."""
    return Path(engine).suffix in (SUFFIX, ".plan") or Path(engine).is_file()


def open_plan(path: Path, precision: str, *, batch: int, cache: Path) -> TensorRtEngine:
    """Open a plan's file. Raises EngineError where it is broken, foreign or untrained."""
    plan = read_plan(path)
    if precision not in ("auto", plan.spec.precision):
        raise InputError(
            f"{path}: computes in {plan.spec.precision}, not {precision}; leave the precision out"
        )
    return TensorRtEngine(plan, batch=batch, cache=cache)


def plan_files(bundle: Bundle) -> list[Path]:
    """The files beside a bundle that call themselves plans of it."""
    return sorted(bundle.folder.parent.glob(f"{bundle.spec.name}.*{SUFFIX}"))


def open_beside(bundle: Bundle, precision: str, *, batch: int, cache: Path) -> TensorRtEngine:
    """Open the first plan beside the bundle that runs here, in `precision`; "auto" prefers FP16.

    Raises what the first of them raises, and BackendError where there is none.
    """
    name = bundle.spec.name
    plans: list[Plan] = []
    failures: list[EngineError] = []
    for path in plan_files(bundle):
        try:
            plan = read_plan(path, untrained=True)
            if plan.spec.bundle_digest != bundle.digest:
                raise BackendError(
                    f"{path}: built from another export of {name}. Rebuild: {plan.spec.rebuild}"
                )
        except EngineError as exc:
            failures.append(exc)
            continue
        if plan.spec.trained and precision in ("auto", plan.spec.precision):
            plans.append(plan)
    for plan in sorted(plans, key=lambda plan: PREFERENCE.index(plan.spec.precision)):
        try:
            return TensorRtEngine(plan, batch=batch, cache=cache)
        except EngineError as exc:
            failures.append(exc)
    if failures:
        raise failures[0]
    kind = "" if precision == "auto" else f" {precision}"
    raise BackendError(
        f"{bundle.folder.parent}: no{kind} TensorRT plan of {name}; "
        f"build one: python scripts/build_engine.py --bundle {bundle.folder}"
    )
