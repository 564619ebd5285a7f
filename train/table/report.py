"""The table as Markdown and CSV, with the paper's figures beside ours."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from rtpolyp.measure.statistics import MINIMUM_GROUPS
from train.experiment.files import replace_text
from train.experiment.markdown import table
from train.table.gains import Gain
from train.table.paper import ARMS, DATA_SETS, PUBLISHED, ROWS
from train.table.protocols import PROTOCOLS
from train.table.results import Line

__all__ = ["as_csv", "as_markdown", "write_report"]

HEADINGS = (
    "network", "initial weights", "trained", "seeds", "parameters", "GMAC", "Dice", "mIoU",
    "gain by IF in Dice", "detectable gain", "paper: Dice / mIoU", "against the paper",
)  # fmt: skip
NOT_RUN = "not run yet"
NOTES = """\
Dice and mIoU are of the polyp class on the test part: mean ± sample standard deviation over the seeds.
Gain by IF: the mean difference in Dice between runs that share seed, recipe and data, with its 95 % interval
by a paired bootstrap: seeds resampled first, then images, or groups of images that resemble each other.
Detectable gain: the smallest true gain that so many pairs of runs would have shown in four of five
experiments (two-sided t-test, 5 %), by the spread of their differences. GMAC are of one image of the size
in the column "trained", nothing folded. "Not comparable" names what differs from the paper. It retrained only
its networks with IF; its plain U-Net, U-Net++ and PraNet are one model on 900 + 550 images of both sets,
scored over 256 thresholds."""
CSV_HEADINGS = (
    "protocol", "test", "network", "encoder", "initialisation", "side", "steps", "seeds", "dice", "dice_sd",
    "iou", "iou_sd", "gain", "gain_low", "gain_high", "gain_pairs", "detectable_gain", "parameters",
    "giga_macs", "paper_dice", "paper_iou", "unlike_paper",
)  # fmt: skip


def write_report(lines: Sequence[Line], folder: Path) -> None:
    """Write `table.md` and `table.csv`. Raises OutputError when they cannot be written."""
    replace_text(folder / "table.md", as_markdown(lines))
    replace_text(folder / "table.csv", as_csv(lines))


def as_markdown(lines: Sequence[Line]) -> str:
    """A section for each test part of the literature, and for each other one that has lines.

    Networks that began with the weights of other training data stand in sections of their own.
    """
    known = [(name, test, False) for name, protocol in PROTOCOLS.items() for test in protocol.columns]
    parts = ["# Networks with and without information fusion (IF)"]
    for section in dict.fromkeys([*known, *map(_section_of, lines)]):
        parts += _section(section, [line for line in lines if _section_of(line) == section])
    return "\n\n".join([*parts, NOTES]) + "\n"


def as_csv(lines: Sequence[Line]) -> str:
    """One row a line, unrounded; empty where a figure does not exist."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADINGS)
    for line in lines:
        trained = (line.encoder, line.initialisation, line.side, line.steps, " ".join(map(str, line.seeds)))
        size = (line.parameters, *_numbers(line.giga_macs))
        paper = PUBLISHED[line.row, line.arm].get(line.test.split(":")[0], ("", ""))
        scores = (*_numbers(*line.dice, *line.iou), *_gain_numbers(line.gain))
        unlike = ", ".join(line.unlike_paper)
        writer.writerow([line.protocol, line.test, line.network, *trained, *scores, *size, *paper, unlike])
    return stream.getvalue()


def _section_of(line: Line) -> tuple[str, str, bool]:
    return line.protocol, line.test, line.initialisation == "extra"


def _section(section: tuple[str, str, bool], lines: Sequence[Line]) -> list[str]:
    """Heading, convention, table, and what needs more room than a cell."""
    protocol, test, is_extra = section
    folder, split = test.split(":")
    heading = f"## {DATA_SETS.get(folder, folder)}, {split}"
    rows = []
    for row in ROWS:
        ours = [line for line in lines if line.row == row]
        rows += [_cells(line, folder) for line in ours]
        if not is_extra:
            rows += [_missing(row, arm, folder) for arm in ARMS if arm not in [line.arm for line in ours]]
    return [
        heading + (", from weights of other training data" if is_extra else ""),
        f"Scored {PROTOCOLS[protocol].convention}.",
        table(HEADINGS, rows, numbers=9),
        *_groups(lines),
    ]


def _cells(line: Line, data_set: str) -> list[str]:
    verdict = f"not comparable ({', '.join(line.unlike_paper)})" if line.unlike_paper else "comparable"
    return [
        f"{_title(line.row, line.arm)}, {line.encoder}",
        line.initialisation,
        f"{line.side} px, {line.steps} steps",
        str(len(line.seeds)),
        f"{line.parameters:,}",
        f"{line.giga_macs:.2f}",
        _spread(line.dice),
        _spread(line.iou),
        *_gain(line.gain),
        _paper(line.row, line.arm, data_set),
        verdict,
    ]


def _missing(row: str, arm: str, data_set: str) -> list[str]:
    cells = dict.fromkeys(HEADINGS, "–") | {
        "network": _title(row, arm),
        "Dice": NOT_RUN,
        "mIoU": NOT_RUN,
        "paper: Dice / mIoU": _paper(row, arm, data_set),
    }
    return list(cells.values())


def _title(row: str, arm: str) -> str:
    return ROWS[row].title + (" + IF" if arm == "IF" else "")


def _spread(figure: tuple[float, float]) -> str:
    mean, deviation = figure
    return f"{mean:.3f}" if math.isnan(deviation) else f"{mean:.3f} ± {deviation:.3f}"


def _gain(gain: Gain | None) -> tuple[str, str]:
    if gain is None:
        return "–", "–"
    interval = gain.interval
    few = f" (below {MINIMUM_GROUPS} groups, see below)"
    ends = few if interval is None else f" [{interval.low:+.3f}, {interval.high:+.3f}]"
    detectable = "–" if math.isnan(gain.detectable) else f"{gain.detectable:.3f}"
    return f"{gain.mean:+.3f}{ends}", detectable


def _groups(lines: Iterable[Line]) -> list[str]:
    """The gain of each group, where those are too few for an interval."""
    return [
        f"Gain of {_title(line.row, line.arm)}, {line.encoder}, by group: "
        + ", ".join(f"{group} {gain:+.3f}" for group, gain in line.gain.by_group.items())
        + "."
        for line in lines
        if line.gain and line.gain.by_group
    ]


def _paper(row: str, arm: str, data_set: str) -> str:
    published = PUBLISHED[row, arm].get(data_set)
    return "{:.3f} / {:.3f}".format(*published) if published else "–"


def _numbers(*values: float) -> list[str]:
    return ["" if math.isnan(value) else f"{value:.6g}" for value in values]


def _gain_numbers(gain: Gain | None) -> list[str]:
    if gain is None:
        return [""] * 5
    low, high = gain.interval or (math.nan, math.nan)
    pairs = str(len(gain.by_seed))
    return [*_numbers(gain.mean, low, high), pairs, *_numbers(gain.detectable)]
