"""Parts share no group, and each gets its share."""

from collections import Counter

import numpy as np
import pytest

from rtpolyp.errors import InputError
from train.prepare.splits import join_groups, split

PARTS = {"train": 0.8, "val": 0.1, "test": 0.1}


def case(groups: int, largest: int, polyp_free: float, seed: int = 0):
    """Names, groups of 1 to `largest` frames, and which frames show a polyp."""
    rng = np.random.default_rng(seed)
    labels = [f"g{group}" for group in range(groups) for _ in range(rng.integers(1, largest + 1))]
    names = [f"f{index:04}" for index in range(len(labels))]
    return names, labels, (rng.uniform(size=len(names)) >= polyp_free).tolist()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("groups", "largest", "polyp_free"), [(200, 1, 0.1), (60, 20, 0.2), (400, 3, 0.0)])
def test_no_group_crosses_and_the_shares_hold(groups, largest, polyp_free, seed):
    names, labels, has_polyp = case(groups, largest, polyp_free, seed)
    parts = split(names, labels, has_polyp, PARTS, seed)
    assert sorted(name for part in parts.values() for name in part) == names
    part_of = {name: part for part, members in parts.items() for name in members}
    for group in set(labels):
        assert len({part_of[name] for name, label in zip(names, labels, strict=True) if label == group}) == 1
    for wanted in (True, False):
        kind = [name for name, shows in zip(names, has_polyp, strict=True) if shows == wanted]
        counts = Counter(part_of[name] for name in kind)
        for part, share in PARTS.items():
            assert abs(counts[part] - share * len(kind)) <= max(2, largest / 2)


def test_the_seed_decides_and_nothing_else():
    names, labels, has_polyp = case(100, 3, 0.1)
    first = split(names, labels, has_polyp, PARTS, 0)
    assert split(names, labels, has_polyp, PARTS, 0) == first
    assert split(names, labels, has_polyp, PARTS, 1) != first
    assert (
        max(
            Counter(
                name for seed in range(9) for name in split(names, labels, has_polyp, PARTS, seed)["test"]
            ).values()
        )
        < 9
    )


@pytest.mark.parametrize("sizes", [(1, 1, 1), (34, 33, 33), (90, 1, 1), (5, 80, 90)])
def test_three_groups_fill_three_parts(sizes):
    labels = [f"g{group}" for group, size in enumerate(sizes) for _ in range(size)]
    names = [f"f{index:04}" for index in range(len(labels))]
    parts = split(names, labels, [True] * len(names), PARTS, 0)
    assert sorted(map(len, parts.values())) == sorted(sizes)
    assert len(parts["train"]) == max(sizes)


def test_too_few_groups_with_a_polyp_fail():
    labels = ["a", "a", "b", "c", "c", "d"]
    names = [f"f{index}" for index in range(6)]
    with pytest.raises(
        InputError, match=r"the test part would be without a polyp: 2 groups show one, .*train, val, test"
    ):
        split(names, labels, [True, False, False, True, True, False], PARTS, 0)
    parts = split(names, labels, [True, False, False, True, True, False], {"train": 0.8, "val": 0.2}, 0)
    assert set(parts) == {"train", "val"}


def test_without_a_table_of_patients_near_duplicates_are_groups():
    assert join_groups(["a", "b", "c"], np.array([0, 1, 0]), None) == (
        ["near-duplicates of a", "near-duplicates of b", "near-duplicates of a"], 0
    )  # fmt: skip


def test_a_view_of_two_patients_joins_them():
    patients = {"a": "P1", "b": "P2", "c": "P2", "d": "P3"}
    groups, joined = join_groups(["a", "b", "c", "d"], np.array([0, 0, 2, 3]), patients)
    assert (groups, joined) == (["P1", "P1", "P1", "P3"], 1)
    assert join_groups(["a", "b", "c", "d"], np.array([0, 1, 1, 3]), patients) == (
        ["P1", "P2", "P2", "P3"],
        0,
    )
