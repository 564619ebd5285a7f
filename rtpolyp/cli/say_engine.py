"""say_engine: what a run prints of its engine before the first frame."""

from rich.console import Console

from rtpolyp.inference.engine import Engine
from rtpolyp.tracking.drift import NOT_WATCHED, DriftWatch

__all__ = ["say_engine"]


def say_engine(engine: Engine, console: Console) -> None:
    """Print what the engine is, and what its bundle cannot do."""
    console.print(engine.description, highlight=False)
    if not DriftWatch(engine.spec).able:
        console.print(f"{engine.spec.name}: {NOT_WATCHED}", highlight=False, soft_wrap=True)
