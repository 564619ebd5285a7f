"""Pins that are too old, or of no known age, fail CI."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("text", "today", "code", "said"),
    [
        ("# resolved on 2026-01-01\nav==18.1.0\n", "2026-06-30", 0, ""),
        ("# resolved on 2026-01-01\nav==18.1.0\n", "2026-07-01", 1, "resolved 181 days ago"),
        ("av==18.1.0\n", "2026-07-01", 2, "no line '# resolved on"),
    ],
)
def test_the_age_of_pins(tmp_path: Path, text: str, today: str, code: int, said: str):
    pins = tmp_path / "constraints.txt"
    pins.write_text(text)
    command = [sys.executable, ROOT / "scripts" / "check_pins.py", pins, "--today", today]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code
    assert said in done.stdout


def test_the_projects_own_pins_have_an_age():
    command = [sys.executable, "scripts/check_pins.py", "--today", "2026-12-01"]
    assert subprocess.run(command, cwd=ROOT).returncode == 0
