"""What a measurement was made on and with: a figure without it cannot be compared with any other."""

import contextlib
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rtpolyp.inference.nvidia_card import find_card
from rtpolyp.inference.processor import this_processor
from rtpolyp.measure.installed import installed_version

__all__ = ["Machine", "this_machine"]

PACKAGE = Path(__file__).resolve().parents[2]
INSTRUCTION_SETS = (  # those that decide how fast a network runs
    *("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "avx_vnni", "amx_bf16", "amx_int8"),
    *("asimd", "asimddp", "i8mm", "bf16", "sve"),
)
DISTRIBUTIONS = (
    *("rtpolyp", "numpy", "opencv-python", "av", "openvino", "onnxruntime", "onnxruntime-gpu"),
    *("tensorrt", "tensorrt-rtx", "pycuda", "torch"),
)


@dataclass(frozen=True)
class Machine:
    """Hardware, driver, versions and revision."""

    processor: str
    cores: int  # that this process may use
    instruction_sets: tuple[str, ...]
    card: str | None  # NVIDIA's name and compute capability; None without one
    driver: str | None
    system: str
    python: str
    versions: dict[str, str]  # of what is installed
    revision: str | None  # of git, with "+" after it where files were changed; None outside a checkout
    measured_at: str  # ISO 8601, UTC


def this_machine() -> Machine:
    """Describe this machine, now."""
    processor, card = this_processor(), find_card()
    versions = {name: installed_version(name) for name in DISTRIBUTIONS}
    return Machine(
        processor=processor.name,
        cores=processor.cores,
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in processor.flags),
        card=None if card is None else str(card),
        driver=None if card is None else card.driver,
        system=platform.platform(),
        python=platform.python_version(),
        versions={name: version for name, version in versions.items() if version is not None},
        revision=_revision(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _revision() -> str | None:
    """The checkout's revision if it tracks this package: a wheel may lie in another's repository."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:
        return None
    revision = _git("rev-parse", "--short=12", "HEAD")
    return revision and revision + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    if (git := shutil.which("git")) is None:
        return None
    command = [git, "-C", str(PACKAGE), *arguments]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()
    return None
