"""What a run tells: CSV and TensorBoard in its folder, and a progress bar or plain log lines."""

import csv
import logging
import math
import os
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from rtpolyp.errors import OutputError
from rtpolyp.terminal.console import BAR_WIDTH, ESTIMATE_SECONDS
from train.events import EventFile
from train.validate import Validation

__all__ = ["Journal"]

log = logging.getLogger(__name__)


class Journal:
    """Logs of one run; a context manager. Rows beyond `step`, left by a run that was cut off, are dropped.

    Every method that writes raises OutputError where the folder cannot be written.
    """

    def __init__(self, folder: Path, step: int, steps: int):
        self.folder = folder
        self.step, self.steps = step, steps
        try:
            for kind in ("train", "val"):
                _truncate(folder / f"{kind}.csv", step or -1)  # a new run has no row of step 0 yet
            self.events = EventFile(folder, step + 1)
        except OSError as exc:
            raise _cannot_be_written(folder, exc) from exc
        self.console = Console(stderr=True)
        self.bar = Progress(
            MofNCompleteColumn(),
            BarColumn(BAR_WIDTH),
            TimeRemainingColumn(),
            # last, and cut where the terminal is narrow: the time that remains is always whole
            TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")),
            console=self.console,
            disable=not self.console.is_terminal,
            speed_estimate_period=ESTIMATE_SECONDS,
            expand=True,
        )
        self.task = self.bar.add_task("training", total=steps, completed=step)
        self.started = time.monotonic()
        self._begun_with = -1.0  # Dice of the weights of --init; of a resumed run not known

    def __enter__(self) -> "Journal":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
        with suppress(OSError):  # each row has been flushed: what fails now has failed before
            self.events.close()

    def train_step(self, step: int, values: dict[str, float]) -> None:
        """Note the means over the steps since the last call."""
        self._note("train", step, values)
        text = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self.bar.update(self.task, completed=step, description=text)
        if self.bar.disable:
            pace = (time.monotonic() - self.started) / (step - self.step)  # seconds
            self.say(f"step {step}/{self.steps}  {text}  ETA {pace * (self.steps - step) / 60:.0f} min")

    def validation(self, step: int, result: Validation, stale: int, lr_scale: float) -> None:
        """Note a validation of the averaged weights.

        `stale` validations came since the best one, 0 after this one; `lr_scale` is what plateaus have left
        of the learning rate.
        """
        text = self._noted(step, result)
        standing = f"{stale} since the best" if stale else "best"
        slowed = f", learning rate × {lr_scale:g}" if lr_scale < 1 else ""
        self.say(f"validation at step {step}: {text}  ({standing}{slowed})")

    def start(self, result: Validation) -> None:
        """Note what the weights of --init score before the first step."""
        self._begun_with = result.macro_dice
        text = self._noted(0, result)
        self.say(f"validation at step 0: {text}  (what --init begins with)")

    def say(self, text: str) -> None:
        """One line: above the bar on a terminal, to the log elsewhere."""
        if self.bar.disable:
            log.info(text)
        else:
            self.console.print(text, highlight=False, markup=False, emoji=False)

    def summary(self, ending: str, best_step: int, best: Validation) -> None:
        """Why the run ended, and the table of its best validation."""
        self.say(ending)
        table = Table(title=f"Best validation, step {best_step}")
        for column in ("source", "Dice", "IoU"):
            table.add_column(column, justify="left" if column == "source" else "right")
        for source, dice in best.dice.items():
            table.add_row(source, f"{dice:.4f}", f"{best.iou[source]:.4f}")
        table.add_section()
        table.add_row("mean of sources", f"{best.macro_dice:.4f}", f"{best.macro_iou:.4f}")
        if not math.isnan(best.false_outlines):
            table.add_row("polyp-free frames outlined", f"{best.false_outlines:.1%}", "")
        self.console.print(table)
        if best.macro_dice < self._begun_with:
            log.warning(
                "the weights of --init were better: Dice %.4f at step 0, at best %.4f since; lower the "
                "learning rates, or keep them",
                self._begun_with,
                best.macro_dice,
            )

    def _noted(self, step: int, result: Validation) -> str:
        """Write a validation's figures, and give them as text."""
        values = {"dice": result.macro_dice, "iou": result.macro_iou, "false_outlines": result.false_outlines}
        values |= {f"dice {source}": dice for source, dice in result.dice.items()}
        self._note("val", step, values)
        return "  ".join(f"{name} {value:.4f}" for name, value in values.items() if not math.isnan(value))

    def _note(self, kind: str, step: int, values: dict[str, float]) -> None:
        file = self.folder / f"{kind}.csv"
        try:
            is_new = not file.exists()
            with file.open("a", newline="") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                if is_new:
                    writer.writerow(["step", *values])
                writer.writerow([step, *(f"{value:.6g}" for value in values.values())])
            self.events.add(step, {f"{kind}/{name}": value for name, value in values.items()})
        except OSError as exc:
            raise _cannot_be_written(file, exc) from exc


def _truncate(file: Path, step: int) -> None:
    """Drop rows beyond `step` and what a crash left half written; a table without rows goes altogether."""
    if not file.exists():
        return
    header, *rows = file.read_text().splitlines(keepends=True) or [""]
    kept = [row for row in rows if row.endswith("\n") and int(row.split(",")[0]) <= step]
    if not kept:
        file.unlink()
    elif len(kept) < len(rows):
        partial = file.with_name(file.name + ".partial")
        partial.write_text(header + "".join(kept))
        os.replace(partial, file)


def _cannot_be_written(path: Path, exc: OSError) -> OutputError:
    return OutputError(f"{path}: cannot be written ({exc.strerror}). Free space or choose another -o")
