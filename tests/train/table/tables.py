"""A table of seconds: FCN on the tiny encoder, without and with IF, two seeds of four steps."""

from pathlib import Path

from train.command_line import run_command_line
from train.table.__main__ import app

NUMERICS = '{"channels_last": false, "bfloat16": false}\n'
CELLS = [f"clinic.half/{net}.tiny.random/seed{seed}" for seed in (0, 1) for net in ("fcn", "fcn-if")]
TINY = {
    "net": "fcn", "encoder": "tiny", "random_init": True, "seeds": 2, "steps": 4, "sizes": (64, 1),
    "batch": 2, "lr_decoder": 0.02, "lr_encoder": 0.02,
}  # fmt: skip


def run_table(out: Path, *folders: Path, split: str = "half", **options: object) -> int:
    """The command as a user calls it, TINY but for `options`; returns its exit code.

    Number formats are not timed, unless the folder exists already.
    """
    if not out.exists():
        out.mkdir()
        (out / "numerics.json").write_text(NUMERICS)
    tokens = ["-o", str(out), *(token for folder in folders for token in ("--data", f"{folder}:{split}"))]
    for name, value in (TINY | options).items():
        values = [] if value is True else value if isinstance(value, tuple) else [value]
        tokens += [f"--{name.replace('_', '-')}", *map(str, values)]
    return run_command_line(app, tokens)
