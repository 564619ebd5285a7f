"""Fuzz the readers that are ours: damaged files must be read, or refused in one line.

    python scripts/fuzz_readers.py --minutes 10 -o docs/results/fuzz.json

Each reader gets a whole file that was damaged by bits, cuts, repeats, foreign words or, of JSON, by values of
other kinds. Anything but a result or a one-line RtpolypError is a failure, and so is a reading that takes
longer than SLOW_SECONDS. It needs ffmpeg and the extra [dicom].
"""

import json
import platform
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Annotated

import cv2  # noqa: F401 – before av, always
from cyclopts import Parameter

from rtpolyp.errors import RtpolypError
from rtpolyp.measure.figure_files import write_text
from rtpolyp.terminal.command_line import make_app
from scripts.fuzz.damage import damaged, mutated
from scripts.fuzz.readers import CASES, Reader
from scripts.fuzz.whole_files import clip, picture
from train.command_line import run_command_line

SLOW_SECONDS = 20.0

app = make_app("python scripts/fuzz_readers.py", __doc__)


def attempt(reader: Reader, path: Path) -> str:
    """What became of one file: "read", "refused", or why that is a failure."""
    begun = time.perf_counter()
    try:
        reader(path)
        found = "read"
    except RtpolypError as exc:
        found = "refused" if "\n" not in str(exc) else f"several lines: {exc}"
    except Exception as exc:
        found = f"{type(exc).__name__}: {exc}"[:200]
    return found if time.perf_counter() - begun < SLOW_SECONDS else f"slow; {found}"


@app.default
def main(
    *,
    minutes: float = 10.0,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(name=["--out", "-o"])] = None,
) -> int:
    """Fuzz for a while, print what became of it, and exit with 1 where something failed.

    Parameters
    ----------
    minutes
        How long, all readers in turns.
    seed
        Draws the damages.
    out
        JSON for the counts and every failure with the file's bytes in hexadecimal digits.
    """
    rng = random.Random(seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in CASES}
    failures: list[dict[str, str]] = []
    end = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as work, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for part in ("images", "masks"):
            (Path(work) / "set" / part).mkdir(parents=True)
            (Path(work) / "set" / part / "a.png").write_bytes(picture("PNG"))
        (Path(work) / "part.ts").write_bytes(clip(".ts"))
        while time.monotonic() < end:
            for name, (file, reader, seeds) in CASES.items():
                content = rng.choice(seeds)
                if file.endswith(".json") and rng.random() < 0.5:
                    content = json.dumps(mutated(json.loads(content), rng)).encode()
                else:
                    content = damaged(content, rng)
                path = Path(work) / file
                path.write_bytes(content)
                found = attempt(reader, path)
                ending = found if found in ("read", "refused") else "failed"
                counts[name][ending] += 1
                if ending == "failed" and len(failures) < 50:
                    failures.append({"reader": name, "found": found, "bytes": content.hex()[:4000]})
    report = {
        "command": f"python scripts/fuzz_readers.py --minutes {minutes:g} --seed {seed}",
        "python": platform.python_version(),
        "counts": {name: dict(count) for name, count in counts.items()},
        "failures": failures,
    }
    print(json.dumps(report["counts"], indent=1))
    for failure in failures:
        print(f"{failure['reader']}: {failure['found']}")
    if out is not None:
        write_text(json.dumps(report, indent=1) + "\n", out)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(run_command_line(app, sys.argv[1:]))
