import pytest

from train.generalise.hospitals import SEALED
from train.generalise.report import as_markdown
from train.generalise.results import Arm, Count, FoldScore, kept, verdict


def arm(label: str, dice: tuple[float, ...], outlined: tuple[int, ...], folds=("cvc-612", "bkai")) -> Arm:
    scores = {
        fold: FoldScore(
            (0,), 100, one, one, Count(90, 100), Count(2 * part, 200), Count(part, 200), Count(0, 0), None
        )
        for fold, one, part in zip(folds, dice, outlined, strict=True)
    }
    return Arm("screen", label, scores)


BASELINE = arm("baseline", (0.70, 0.60), (40, 20))


@pytest.mark.parametrize(
    ("dice", "outlined", "expected"),
    [
        ((0.711, 0.611), (60, 60), "keep"),  # gains on both
        ((0.800, 0.609), (40, 20), "drop"),  # gains on one
        ((0.700, 0.600), (30, 15), "keep"),  # a quarter fewer outlines
        ((0.700, 0.600), (31, 15), "drop"),
        ((0.695, 0.595), (10, 10), "keep"),  # quiet, and hardly worse
        ((0.689, 0.700), (10, 10), "drop"),  # silence that costs polyps
        ((0.700, 0.600), (40, 20), "drop"),
    ],
)
def test_the_verdict_follows_its_rule(dice, outlined, expected):
    assert verdict(arm("x", dice, outlined), BASELINE) == expected


def test_an_ingredient_without_a_fold_is_unfinished():
    assert verdict(arm("x", (0.8,), (1,), folds=("bkai",)), BASELINE) == "unfinished"
    assert kept([BASELINE, arm("x", (0.8,), (1,), folds=("bkai",))]) == []


def test_the_best_of_those_kept_comes_last():
    better, best, worse = (arm(n, (d, d), (40, 20)) for n, d in (("b", 0.8), ("c", 0.9), ("a", 0.5)))
    assert kept([BASELINE, best, worse, better]) == ["b", "c"]


def test_the_macro_mean_weighs_hospitals_alike():
    assert BASELINE.macro_dice == pytest.approx(0.65)


def test_the_sealed_hospital_has_a_row_and_is_in_no_mean():
    final = Arm("full", "final", arm("final", (0.7, 0.6, 0.1), (4, 2, 9), ("cvc-612", "bkai", SEALED)).folds)
    assert final.macro_dice == final.macro_dice_operating == pytest.approx(0.65)
    sealed, mean = as_markdown([final]).split("\n")[8:10]
    assert sealed.startswith(f"| final | {SEALED} (sealed) | 100 | 1 | 0.100 |")
    assert mean.startswith("| final | mean of 2 |")
    assert " 6 of 400 " in mean


def test_the_sealed_hospital_alone_has_no_mean():
    only = Arm("full", "final", arm("final", (0.1,), (9,), (SEALED,)).folds)
    assert "mean of" not in as_markdown([only])
