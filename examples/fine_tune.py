"""Fine-tune the shipped network on one's own images: python examples/fine_tune.py clinic/ work/ 1000

`clinic/` has images/, masks/ and, where patients are known, groups.csv with the columns file,patient. This
needs a checkout with the train extra; docs/own-data.md explains every step.
"""

import subprocess
import sys
from pathlib import Path

import rtpolyp


def main(clinic: str, work: str, steps: str = "1000", size: str = "288") -> None:
    own, run, bundle = (Path(work) / name for name in ("own", "run", "bundle"))
    train("train.prepare", clinic, "-o", own, "--val", "0.2", "--test", "0.2")
    begin = ["--net", "pranet-if", "--init", "pranet-if", "--data", f"{own}:own"]
    rates = ["--lr-encoder", "1e-4", "--lr-decoder", "4e-4"]
    train("train", *begin, "--sizes", size, "1", "--steps", steps, *rates, "-o", run)
    exported = [
        "--checkpoint",
        run / "best.pt",
        "--name",
        bundle.name,
        "--data",
        f"{own}:own",
        "--size",
        size,
    ]
    train("train.export", *exported, "-o", bundle)
    with rtpolyp.load(bundle) as model:
        picture = next(iter(sorted((Path(clinic) / "images").iterdir())))
        print(model(picture))


def train(module: str, *arguments: object) -> None:
    """Run one command of the training side."""
    subprocess.run([sys.executable, "-m", module, *map(str, arguments)], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
