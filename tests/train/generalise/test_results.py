import pytest

from train.generalise.results import Arm, Count, FoldScore, kept, verdict


def arm(label: str, dice: tuple[float, ...], outlined: tuple[int, ...], folds=("cvc-612", "bkai")) -> Arm:
    scores = {
        fold: FoldScore((0,), 100, one, one, Count(90, 100), Count(2 * part, 200), Count(part, 200), None)
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
