"""What the rows of one bundle in the test log come to, against what it is to show."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rtpolyp.measure.crops import OutlineRate
from rtpolyp.measure.statistics import clopper_pearson
from scripts.shipped.log import Row

__all__ = ["summary"]

MOST_INT8_COST = 0.003  # Dice under FP32, on each source
NORMAL, BOXES = "normal-test", ("normal-right-of-box", "normal-above-box")
CROPS_OUTLINED = "crops_outlined_operating"
PAINTED, PLAIN = "kvasir-box-painted", "kvasir-test"


@dataclass(frozen=True)
class Aims:
    """What a bundle is to show; rates are at its operating point."""

    dice: Mapping[str, float]  # part → Dice at 0.5, its mean of sequences where it has one
    found: float = 0.92  # of the polyps of all parts together
    normal: float = 0.08  # of whole polyp-free frames outlined
    crops: float = 0.05  # of polyp-free crops outlined
    box: float = 0.03  # how much more of them may be outlined where the position box is cropped away
    painted: float = 0.01  # of Kvasir's polyps that a painted box may cost


DEFAULT = Aims({"kvasir-test": 0.938, "cvc-sequence-test": 0.801, "polypgen-test": 0.788, "bkai-test": 0.914})
AIMS = {
    "pranet-if-plus": Aims(
        {"kvasir-test": 0.949, "cvc-sequence-test": 0.84, "polypgen-test": 0.82, "bkai-test": 0.93},
        found=0.94,
        normal=0.06,
    )
}


def summary(rows: Sequence[Row]) -> list[str]:
    """Lines for a person: each precision's parts, means and aims, then INT8 against FP32 on the same part."""
    lines = []
    for precision in dict.fromkeys(row["precision"] for row in rows):
        of_precision = [row for row in rows if row["precision"] == precision]
        lines += [f"{precision}:", *(f"  {line}" for line in _of_precision(of_precision))]
    return lines + list(_int8_cost(rows))


def _of_precision(rows: Sequence[Row]) -> Iterator[str]:
    aims = AIMS.get(rows[0]["bundle"], DEFAULT)
    by_part = {row["part"]: row for row in rows}
    sources = {name: row for name, row in by_part.items() if row["dice"] and name != PAINTED}
    for name, row in sources.items():
        macro = f"; mean of its sequences or families {row['macro_dice']}" if row["macro_dice"] else ""
        yield (
            f"{name}: Dice {row['dice']} at 0.5, {row['dice_operating']} at the operating point, "
            f"IoU {row['iou']}{macro}"
        )
    for name, least in aims.dice.items():
        if name in sources:
            column = "macro_dice" if name.startswith("cvc") else "dice"
            yield _aim(f"{name}, {column.replace('_', ' ')}", float(sources[name][column]), least)
    if found := _pooled(sources.values(), "polyps", "found_operating"):
        yield f"{_aim('polyps found, IoU ≥ 0.3', found.rate, aims.found)}: {_rate(found)}"
    normal = _pooled(
        [by_part[NORMAL]] if NORMAL in by_part else [], "polyp_free_frames", "outlined_operating"
    )
    if normal:
        yield f"{_most('whole polyp-free frames outlined', normal.rate, aims.normal)}: {_rate(normal)}"
        for name in BOXES:
            beside = _pooled([by_part[name]] if name in by_part else [], "polyp_free_crops", CROPS_OUTLINED)
            if beside:
                more = beside.rate - normal.rate
                yield f"{_most(f'{name}, more than whole', more, aims.box)}: {_rate(beside)}"
    if PLAIN in by_part and PAINTED in by_part:
        plain, painted = (_pooled([by_part[part]], "polyps", "found_operating") for part in (PLAIN, PAINTED))
        if plain and painted:
            lost = plain.rate - painted.rate
            yield f"{_most('polyps lost beside a painted box', lost, aims.painted)}: {_rate(painted)}"
    if crops := _pooled(sources.values(), "polyp_free_crops", CROPS_OUTLINED):
        yield f"{_most('polyp-free crops outlined', crops.rate, aims.crops)}: {_rate(crops)}"
    others = [row for name, row in by_part.items() if name != NORMAL]
    if free := _pooled(others, "polyp_free_frames", "outlined_operating"):
        yield f"polyp-free frames of other parts outlined: {_rate(free)}"


def _int8_cost(rows: Sequence[Row]) -> Iterator[str]:
    dice = {(row["part"], row["precision"]): row for row in rows if row["dice"]}
    for part, precision in dice:
        if precision == "int8" and (part, "fp32") in dice:
            for column, point in (("dice", "at 0.5"), ("dice_operating", "at the operating point")):
                gain = float(dice[part, "int8"][column]) - float(dice[part, "fp32"][column])
                verdict = "met" if round(gain, 4) >= -MOST_INT8_COST else "missed"
                yield f"int8 - fp32 {point}, {part}: {gain:+.4f}, at least -{MOST_INT8_COST}: {verdict}"


def _pooled(rows: Iterable[Row], total: str, part: str) -> OutlineRate | None:
    counted = [row for row in rows if row[total]]
    if not counted:
        return None
    count, of = (sum(int(row[column]) for row in counted) for column in (part, total))
    return OutlineRate(count, of, clopper_pearson(count, of))


def _aim(what: str, value: float, least: float) -> str:
    return f"{what}: {value:.4f}, at least {least}: {'met' if value >= least else 'missed'}"


def _most(what: str, value: float, most: float) -> str:
    return f"{what}: {value:.1%}, at most {most:.0%}: {'met' if round(value, 6) <= most else 'missed'}"


def _rate(rate: OutlineRate) -> str:
    low, high = rate.interval
    return f"{rate.outlined} of {rate.total}, {rate.rate:.1%} [{low:.1%}, {high:.1%}]"
