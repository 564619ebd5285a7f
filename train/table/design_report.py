"""The design's results as Markdown: Table 1, gains, ablations, costs and the list of cells."""

import math
from pathlib import Path
from typing import Any

from rtpolyp.measure.statistics import MINIMUM_GROUPS, Interval, mean_and_sd
from train.experiment.files import replace_text
from train.experiment.markdown import table
from train.table.cost import cost_of, designed_specs
from train.table.curves import draw_curves
from train.table.design import ABLATED, KVASIR, SEQUENCE, TESTS
from train.table.design_results import DesignResults
from train.table.engine_rates import EngineRates
from train.table.forest import draw_forest
from train.table.gains import Gain, Pooled, gain_of
from train.table.paper import ARMS, DATA_SETS, PUBLISHED, ROWS

__all__ = ["COMMAND", "as_markdown", "write_design_report"]

COMMAND = "OMP_NUM_THREADS=1 nice -n 19 python -m train.table work --data ../data --budget-minutes 60"
REPORT, FOREST, CURVES = "report.md", "forest.svg", "curves.svg"
ABLATION_PAIRS = (
    ("sum", "plain"), ("weights", "plain"), ("wide", "plain"),
    ("IF", "sum"), ("IF", "weights"), ("IF", "wide"),
)  # fmt: skip
NONE = "–"
SIGNED = "{:+.3f} / {:+.3f}"


def write_design_report(results: DesignResults, rates: EngineRates | None, folder: Path) -> None:
    """Write the report, its forest plot and its curves. Raises OutputError when they cannot be written."""
    replace_text(folder / REPORT, as_markdown(results, rates))
    replace_text(folder / FOREST, draw_forest(results))
    replace_text(folder / CURVES, draw_curves(results))


def as_markdown(results: DesignResults, rates: EngineRates | None) -> str:
    """The whole report; a partial queue gives what it can and says what is missing."""
    parts = [
        "# Information fusion on five networks",
        "Made by `python -m train.table report` from the cells beside it; "
        f"[the design](../../paper.md#design) was written before them. {_state(results)}",
        "## The pooled gain",
        "Gain in Dice and mIoU by information fusion over all networks that have pairs. The first line, Dice "
        "on Kvasir-SEG, is the experiment's primary figure.",
        _pooled(results),
        f"![Gains in Dice with their 95 % intervals]({FOREST})",
        "## Table 1",
        "Dice / mIoU per image at 0.5 and ground-truth size, mean over images, and ± the sample standard "
        "deviation of the seeds' Dice. The paper's figures are of other encoders, and its plain lines of "
        "another protocol.",
        *(part for test in TESTS for part in _table_1(results, test)),
        "## Gain of each network",
        "Pairs share seed, batches and initial weights. Detectable: the smallest true gain in Dice that so "
        "many pairs find in four of five experiments.",
        *_gains(results),
        "## What of the module helps",
        "Differences in Dice between arms on Kvasir-SEG, with 95 % intervals: `sum` has the refinement "
        "without learned weights, `weights` the learned weights without refinement, `wide` neither, but a "
        "decoder of as many parameters.",
        _ablations(results),
        "## Training curves",
        f"![Training loss of every finished cell]({CURVES})",
        "## Cost",
        _rates_note(rates),
        _costs(rates),
        "## Cells",
        f"Each by `{COMMAND}`, in this order; time is that of the training steps on one thread, with other "
        "work beside it.",
        _cells(results),
    ]
    return "\n\n".join(parts) + "\n"


def _state(results: DesignResults) -> str:
    missing = len(results.cells) - results.finished
    if not missing:
        return f"All {len(results.cells)} cells are finished."
    return f"**{results.finished} of {len(results.cells)} cells are finished, {missing} are missing.**"


def _pooled(results: DesignResults) -> str:
    rows = []
    for test in TESTS:
        for figure, name in (("dice", "Dice"), ("iou", "mIoU")):
            found = results.pooled(test, figure)
            rows.append([_part(test), name, *_pooled_cells(found)])
    headings = ["test part", "figure", "networks", "pairs", "gain [95 %]", "detectable", "τ between networks"]
    return table(headings, rows, numbers=5)


def _pooled_cells(found: Pooled | None) -> list[str]:
    if found is None:
        return [NONE, NONE, "two networks with two pairs each are needed", NONE, NONE]
    images = "" if found.images_drawn else ", by seeds and networks alone"
    return [
        str(found.networks),
        str(found.pairs),
        f"{found.mean:+.4f} {_ends(found.interval)}{images}",
        f"{found.detectable:.4f}",
        f"{found.between:.4f}",
    ]


def _table_1(results: DesignResults, test: str) -> list[str]:
    rows = []
    for row in ROWS:
        ours = [_scores(results, test, row, arm) for arm in ARMS]
        gains = [results.pairs(test, row, figure) for figure in ("dice", "iou")]
        gain = " / ".join(f"{gain_of(pairs).mean:+.3f}" for pairs in gains if pairs) or NONE
        rows.append([ROWS[row].title, *ours, gain, *_paper(row, test)])
    headings = ["network", "without IF", "with IF", "gain", "paper: without", "paper: with", "paper: gain"]
    return [f"### {_part(test)}", table(headings, rows, numbers=6)]


def _paper(row: str, test: str) -> list[str]:
    """Both arms as published and their difference, of the paper's own split."""
    if test == SEQUENCE:
        return [NONE] * 3
    plain, fused = (PUBLISHED[row, arm][test.split(":")[0]] for arm in ARMS)
    gain = (ours - theirs for ours, theirs in zip(fused, plain, strict=True))
    return ["{:.3f} / {:.3f}".format(*plain), "{:.3f} / {:.3f}".format(*fused), SIGNED.format(*gain)]


def _scores(results: DesignResults, test: str, row: str, arm: str) -> str:
    scored = results.seeds(test, row, arm).values()
    if not scored:
        return "missing"
    dice, iou = ([one.figures.values[figure].mean() for one in scored] for figure in ("dice", "iou"))
    mean, deviation = mean_and_sd(dice)
    spread = "" if math.isnan(deviation) else f" ± {deviation:.3f}"
    return f"{mean:.3f} / {mean_and_sd(iou)[0]:.3f}{spread}"


def _gains(results: DesignResults) -> list[str]:
    rows, notes = [], []
    for test in TESTS:
        for row in ROWS:
            dice, iou = (results.pairs(test, row, figure) for figure in ("dice", "iou"))
            line = [_part(test), ROWS[row].title]
            if dice is None or iou is None:
                rows.append([*line, "0", NONE, NONE, NONE, NONE])
                continue
            gain = gain_of(dice)
            by_seed = " ".join(f"{one:+.3f}" for one in gain.by_seed.values())
            rows.append(
                [
                    *line,
                    str(len(dice.seeds)),
                    _gain(gain),
                    _number(gain.detectable),
                    _gain(gain_of(iou)),
                    by_seed,
                ]
            )
            if gain.by_group:
                groups = ", ".join(f"{group} {one:+.3f}" for group, one in gain.by_group.items())
                notes.append(f"- {ROWS[row].title}, {_part(test)}, Dice by group: {groups}")
    headings = ["test part", "network", "pairs", "Dice [95 %]", "detectable", "mIoU [95 %]", "Dice by seed"]
    few = f"Below {MINIMUM_GROUPS} groups of images there is no interval; the gain of each is:"
    return [table(headings, rows, numbers=5), *([few, "\n".join(notes)] if notes else [])]


def _ablations(results: DesignResults) -> str:
    rows = []
    for row in ABLATED:
        found = (results.pairs(KVASIR, row, "dice", *arms) for arms in ABLATION_PAIRS)
        rows.append([ROWS[row].title, *(_gain(gain_of(pairs)) if pairs else NONE for pairs in found)])
    return table(["network", *(f"{ours} − {theirs}" for ours, theirs in ABLATION_PAIRS)], rows, numbers=6)


def _rates_note(rates: EngineRates | None) -> str:
    counted = "Parameters while training; multiply-accumulates of one image, before and after exact folding. "
    if rates is None:
        return counted + "Engine rates are not measured yet."
    return f"{counted}Frames a second of the exported engine: {rates.source}."


def _costs(rates: EngineRates | None) -> str:
    rows = []
    for row, arm, spec in designed_specs():
        cost = cost_of(spec)
        measured = rates.cells(row, arm) if rates else [NONE, NONE, NONE]
        macs = f"{cost.giga_macs:.3f}", f"{cost.folded_giga_macs:.3f}"
        rows.append([ROWS[row].title, arm, f"{cost.parameters:,}", *macs, *measured])
    headings = [
        "network",
        "arm",
        "parameters",
        "GMAC",
        "GMAC folded",
        "frames/s FP32",
        "frames/s best",
        "RTX plan, MB",
    ]
    return table(headings, rows, numbers=6)


def _cells(results: DesignResults) -> str:
    rows = []
    for cell in results.cells:
        scored = results.of(cell)
        line = [cell.sources[0].name, ROWS[cell.row].title, cell.arm, str(cell.recipe.seed)]
        rows.append([*line, *(_finished(scored.content) if scored else ["missing", NONE, NONE, NONE, NONE])])
    headings = ["test part", "network", "arm", "seed", "Dice", "mIoU", "minutes", "processor", "PyTorch"]
    return table(headings, rows, numbers=0)


def _finished(content: dict[str, Any]) -> list[str]:
    (scores,) = content["tests"].values()
    minutes = f"{content['training_seconds'] / 60:.1f}"
    return [f"{scores['dice']:.4f}", f"{scores['iou']:.4f}", minutes, content["processor"], content["torch"]]


def _part(test: str) -> str:
    folder, split = test.split(":")
    return f"{DATA_SETS[folder]}, {split}"


def _gain(gain: Gain) -> str:
    return f"{gain.mean:+.3f}" + (f" {_ends(gain.interval)}" if gain.interval else "")


def _ends(interval: Interval) -> str:
    return f"[{interval.low:+.3f}, {interval.high:+.3f}]"


def _number(value: float) -> str:
    return NONE if math.isnan(value) else f"{value:.4f}"
