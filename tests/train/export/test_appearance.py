"""Statistics of training sources: what is like them passes, what is not does not."""

import numpy as np

from rtpolyp.imaging.appearance import TRAITS
from train.export.appearance import Measured, fit_sources

GROUP = 5  # frames of each


def measured(name: str, centre: float, frames: int, seed: int) -> Measured:
    """Frames of patients who differ: a group shares an offset, and its frames scatter around it."""
    rng = np.random.default_rng(seed)
    offsets = np.repeat(rng.normal(centre, 1, (frames // GROUP, len(TRAITS))), GROUP, axis=0)
    groups = tuple(f"{name}{index // GROUP}" for index in range(len(offsets)))
    return Measured(name, offsets + rng.normal(0, 0.3, offsets.shape), groups)


def test_others_of_the_same_sources_keep_to_the_limit():
    train = [measured("a", 0, 400, 1), measured("b", 4, 400, 2)]
    known = fit_sources(train, np.random.default_rng(0))
    others = np.concatenate([measured("a", 0, 500, 3).traits, measured("b", 4, 500, 4).traits])
    assert (known.distances(others).min(axis=1) > known.limit).mean() <= 0.02
    assert known.difference(np.full(len(TRAITS), 9.0)) is not None


def test_the_limit_is_of_groups_that_were_left_out():
    train = [measured("a", 0, 40, 1)]
    known = fit_sources(train, np.random.default_rng(0))
    assert known.limit > known.distances(train[0].traits).max()


def test_a_source_of_few_frames_borrows_its_spread():
    known = fit_sources([measured("a", 0, 400, 1), measured("few", 1, 5, 2)], np.random.default_rng(0))
    spread = np.sqrt(np.diagonal(known.covariances[1]))
    assert (spread > 0.5).all()
