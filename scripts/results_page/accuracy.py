"""What a bundle finds and what it outlines falsely, from its reports in docs/results/eval."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rtpolyp.inference.bundle import load_bundle
from rtpolyp.measure.statistics import Interval, clopper_pearson
from scripts.results_page.reports import RESULTS, against, interval, percent, read, share, table, weights

__all__ = [
    "PARTS", "Rate", "accuracy", "crops", "degraded", "found", "of_part", "pixels", "scored", "travel",
]  # fmt: skip

PARTS = {  # report → what it is called
    "kvasir-test": "Kvasir-SEG, the paper's split",
    "cvc-sequence-test": "CVC-612, sequence-disjoint",
    "polypgen-test": "PolypGen part",
    "bkai-test": "BKAI-IGH NeoPolyp-Small part",
    "negatives-test": "polyp-free frames of PolypGen",
    "normal-test": "polyp-free frames of HyperKvasir and Kvasir",
    "kvasir-box-painted": "Kvasir-SEG with a painted box",
    "normal-right-of-box": "polyp-free frames, right of the position box",
    "normal-above-box": "polyp-free frames, above the position box",
}


@dataclass(frozen=True)
class Rate:
    """A count of a total with its exact interval."""

    count: int
    total: int

    @property
    def interval(self) -> Interval:
        """Clopper and Pearson's 95 % interval."""
        return clopper_pearson(self.count, self.total)

    @property
    def share(self) -> str:
        """Without the total: `12.0 % [8.0, 17.0]`."""
        return share(self.count, self.total, self.interval)

    def __str__(self) -> str:
        return percent(self.count, self.total, self.interval)


def of_part(bundle: str, part: str, precision: str = "int8") -> dict[str, Any] | None:
    """The report of one part, None where it was not scored."""
    name = f"eval/{bundle}/{part}-{precision}.json"
    return read(name) if (RESULTS / name).exists() else None


def scored(bundle: str, part: str) -> dict[str, Any]:
    """The report of a part that every shipped bundle has been scored on."""
    report = of_part(bundle, part)
    assert report is not None
    return report


def pixels(bundle: str) -> int:
    """Of a bundle's input."""
    width, height = load_bundle(bundle).spec.size
    return width * height


def _parts(bundle: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for part, title in PARTS.items():
        if report := of_part(bundle, part):
            yield title, report


def found(bundle: str) -> Rate:
    """Polyps outlined with IoU ≥ 0.3 at the operating point, all test parts together."""
    outlines = [report["outlines"]["operating"] for _, report in _with_polyps(bundle)]
    return Rate(sum(one["found"] for one in outlines), sum(one["polyps"] for one in outlines))


def crops(bundle: str) -> Rate:
    """Polyp-free crops with an outline at the operating point, all test parts together."""
    crops = [report["polyp_free_crops"] for _, report in _with_polyps(bundle)]
    of_all = [one["operating"]["all"] for one in crops if one]
    return Rate(sum(one["outlined"] for one in of_all), sum(one["total"] for one in of_all))


def _with_polyps(bundle: str) -> Iterator[tuple[str, dict[str, Any]]]:
    painted = PARTS["kvasir-box-painted"]
    return ((title, report) for title, report in _parts(bundle) if report["figures"] and title != painted)


def accuracy(bundle: str) -> list[str]:
    """One bundle's section."""
    reports = list(_parts(bundle))
    width, height = load_bundle(bundle).spec.size
    lines = [f"### {bundle}, {width}×{height}, INT8{weights(reports[0][1], bundle)}", ""]
    head = ("part", "frames", "Dice at 0.5", "IoU at 0.5", "Dice, outlines as shown", "polyps found",
            "polyp-free frames outlined", "polyp-free crops outlined")  # fmt: skip
    lines += table(head, [_row(title, report) for title, report in reports])
    lines += ["", f"All parts with polyps together: polyps found {found(bundle)}; polyp-free crops outlined "
              f"{crops(bundle)}.", ""]  # fmt: skip
    costs = list(_int8_costs(bundle))
    if costs:
        costs_head = ("INT8 against FP32", "Dice at 0.5", "Dice, outlines as shown")
        lines += [*table(costs_head, costs), ""]
    return lines


def _row(title: str, report: dict[str, Any]) -> tuple[str, ...]:
    figures, operating = report["figures"], report["outlines"]["operating"]
    free, of_crops = operating["polyp_free"], report["polyp_free_crops"]
    half, shown = figures.get("at_half"), figures.get("operating")
    macro = f"; mean of sequences {report['macro_dice']:.3f}" if report["macro_dice"] else ""
    every = of_crops["operating"]["all"] if of_crops else None
    return (
        title,
        str(report["frames"]),
        f"{half['dice']:.3f}{interval(half['dice_interval'])}{macro}" if half else "–",
        f"{half['iou']:.3f}{interval(half['iou_interval'])}" if half else "–",
        f"{shown['dice']:.3f}{interval(shown['dice_interval'])}" if shown else "–",
        f"{operating['found']} of {operating['polyps']}" if operating["polyps"] else "–",
        percent(free["outlined"], free["total"], free["interval"]) if free else "–",
        percent(every["outlined"], every["total"], every["interval"]) if every else "–",
    )


def _int8_costs(bundle: str) -> Iterator[tuple[str, ...]]:
    for part, title in PARTS.items():
        int8, fp32 = (of_part(bundle, part, precision) for precision in ("int8", "fp32"))
        if int8 and fp32 and int8["figures"]:
            gains = [
                int8["figures"][p]["dice"] - fp32["figures"][p]["dice"] for p in ("at_half", "operating")
            ]
            yield (title, *map(against, gains))


def degraded(bundle: str) -> list[str]:
    """What each degradation costs at most at its middle strength."""
    report = read(f"robustness-{bundle}.json")
    (scores,) = (part["scores"] for part in report["parts"].values())
    rows = [
        (
            score["degradation"],
            score["strength"],
            against(-score["figures"]["at the operating point"]["drop"]),
        )
        for score in scores
        if score["middle"]
    ]
    worst = max(s["figures"]["at the operating point"]["drop"] for s in scores if s["middle"])
    return [
        f"### {bundle}{weights(report, bundle)}",
        "",
        f"The table compares Dice at the operating point with that of clean frames, on "
        f"{PARTS[next(iter(report['parts']))]}. At these strengths at most {worst:.3f} is lost "
        f"([all strengths](results/robustness-{bundle}.md)).",
        "",
        *table(("degradation", "strength", "Dice"), rows),
        "",
    ]


def travel() -> list[str]:
    """What networks reach on hospitals that were left out of their training."""
    with (RESULTS / "travel" / "table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    final = {
        row["left_out"]: row
        for row in rows
        if row["recipe"] == "final" and row["left_out"] != "polypgen-olcv"
    }
    plain = {row["left_out"]: row for row in rows if row["recipe"] == "final without its second look"}
    dice = sorted((float(row["dice"]), hospital) for hospital, row in final.items())
    mean = sum(value for value, _ in dice) / len(dice)
    normal = {name: of["kvasir-seg"] for name, of in (("without", plain), ("with", final))}
    shares = {name: _share(row, "outlined_frames", "frames_without") for name, row in normal.items()}
    found = {name: _share(row, "found", "polyps") for name, row in normal.items()}
    return [
        "Networks were trained without a hospital and scored on it, which shows what to expect of another "
        "endoscope's pictures ([table](results/travel/table.md)). These trainings are much shorter than the "
        f"shipped ones. Mean Dice over {len(dice)} hospitals is **{mean:.2f}**, and {dice[0][0]:.2f} on the "
        f"hardest, {dice[0][1]}.",
        "",
        "A second look that has met no frame without a polyp of a hospital knows little of its residue and "
        f"folds: of {normal['with']['frames_without']} normal frames of Kvasir's hospital, which was left "
        f"out, {shares['without']} are outlined without it and {shares['with']} with it, where "
        f"{found['without']} and {found['with']} of its polyps are found. So give "
        "[a second look](training.md#a-second-look) such "
        "frames of your own hospital before you expect the figures above.",
        "",
    ]


def _share(row: Mapping[str, str], part: str, whole: str) -> str:
    return f"{int(row[part]) / int(row[whole]):.1%}".replace("%", " %")
