"""The bundles that the repository holds; a checkout may have others beside them, which nobody promised."""

import subprocess
from pathlib import Path

__all__ = ["COMMITTED"]

ENGINES = Path(__file__).resolve().parents[2] / "engines"


def _committed() -> dict[str, list[Path]]:
    listed = subprocess.run(
        ["git", "-C", str(ENGINES), "ls-files"], capture_output=True, text=True, check=True
    )
    bundles: dict[str, list[Path]] = {}
    for line in listed.stdout.splitlines():
        bundles.setdefault(Path(line).parts[0], []).append(ENGINES / line)
    return bundles


COMMITTED = _committed()  # files by the bundle's name
