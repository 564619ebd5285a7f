"""What the rows of one bundle in the test log come to, against what it is to show."""

from collections.abc import Iterator, Sequence

from rtpolyp.measure.crops import OutlineRate
from rtpolyp.measure.statistics import clopper_pearson
from scripts.shipped.log import Row

__all__ = ["summary"]

LEAST_SOURCE = 0.65  # Dice of each source
LEAST_DICE = {"kvasir-test": ("dice", 0.94), "cvc-sequence-test": ("macro_dice", 0.87)}
LEAST_IOU = {"kvasir-test": 0.89}
LEAST_FOUND = 0.90  # of the polyps, at the operating point
MOST_CROPS = 0.08  # of the polyp-free crops outlined, at the operating point
MOST_INT8_COST = 0.003  # Dice under FP32, on each source


def summary(rows: Sequence[Row]) -> list[str]:
    """Lines for a person: each precision's parts, means and aims, then INT8 against FP32 on the same part."""
    lines = []
    for precision in dict.fromkeys(row["precision"] for row in rows):
        of_precision = [row for row in rows if row["precision"] == precision]
        lines += [f"{precision}:", *(f"  {line}" for line in _of_precision(of_precision))]
    return lines + list(_int8_cost(rows))


def _of_precision(rows: Sequence[Row]) -> Iterator[str]:
    sources = {row["part"]: row for row in rows if row["dice"]}
    for name, row in sources.items():
        macro = f"; mean of its sequences or families {row['macro_dice']}" if row["macro_dice"] else ""
        yield (
            f"{name}: Dice {row['dice']} at 0.5, {row['dice_operating']} at the operating point, "
            f"IoU {row['iou']}{macro}"
        )
    for name, (column, least) in LEAST_DICE.items():
        if name in sources:
            yield _aim(f"{name}, {column.replace('_', ' ')}", float(sources[name][column]), least)
    for name, least in LEAST_IOU.items():
        if name in sources:
            yield _aim(f"{name}, IoU", float(sources[name]["iou"]), least)
    for column, point in (("dice", "at 0.5"), ("dice_operating", "at the operating point")):
        if sources:
            dices = {name: float(row[column]) for name, row in sources.items()}
            lowest = min(dices, key=lambda name: dices[name])
            yield f"macro mean of {len(dices)} sources {point}: {sum(dices.values()) / len(dices):.4f}"
            verdict = "met" if dices[lowest] >= LEAST_SOURCE else "missed"
            yield f"no source under {LEAST_SOURCE} {point}: {verdict}, lowest {lowest} {dices[lowest]:.4f}"
    if found := _pooled(rows, "polyps", "found_operating"):
        yield f"{_aim('polyps found, IoU ≥ 0.3', found.rate, LEAST_FOUND)}: {_rate(found)}"
    if crops := _pooled(rows, "polyp_free_crops", "crops_outlined_operating"):
        verdict = "met" if crops.rate <= MOST_CROPS else "missed"
        yield f"polyp-free crops outlined, at most {MOST_CROPS:.0%}: {verdict}: {_rate(crops)}"
    if free := _pooled(rows, "polyp_free_frames", "outlined_operating"):
        yield f"polyp-free frames outlined: {_rate(free)}"


def _int8_cost(rows: Sequence[Row]) -> Iterator[str]:
    dice = {(row["part"], row["precision"]): row for row in rows if row["dice"]}
    for part, precision in dice:
        if precision == "int8" and (part, "fp32") in dice:
            for column, point in (("dice", "at 0.5"), ("dice_operating", "at the operating point")):
                gain = float(dice[part, "int8"][column]) - float(dice[part, "fp32"][column])
                verdict = "met" if round(gain, 4) >= -MOST_INT8_COST else "missed"
                yield f"int8 - fp32 {point}, {part}: {gain:+.4f}, at least -{MOST_INT8_COST}: {verdict}"


def _pooled(rows: Sequence[Row], total: str, part: str) -> OutlineRate | None:
    counted = [row for row in rows if row[total]]
    if not counted:
        return None
    count, of = (sum(int(row[column]) for row in counted) for column in (part, total))
    return OutlineRate(count, of, clopper_pearson(count, of))


def _aim(what: str, value: float, least: float) -> str:
    return f"{what}: {value:.4f}, at least {least}: {'met' if value >= least else 'missed'}"


def _rate(rate: OutlineRate) -> str:
    low, high = rate.interval
    return f"{rate.outlined} of {rate.total}, {rate.rate:.1%} [{low:.1%}, {high:.1%}]"
