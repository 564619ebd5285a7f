"""choose: by score, spread, and each video's share."""

import numpy as np
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.near_duplicates import SIDE
from rtpolyp.suggest.choice import choose
from rtpolyp.suggest.survey import Candidate, Survey, _Shortlist


def survey_of(contrasts: NDArray[np.float32], scores: dict[int, float], seconds: float) -> Survey:
    frames = [
        Candidate(index, index / 2, {"borderline": scores[index]} if index in scores else {}, one, ())
        for index, one in enumerate(contrasts)
    ]
    return Survey(tuple(frames), seconds, Rect(0, 0, 8, 8), True, None)


def views(count: int, seed: int = 3) -> NDArray[np.float32]:
    """Contrast maps that are unlike each other."""
    maps = np.random.default_rng(seed).normal(size=(count, SIDE**2)).astype(np.float32)
    return np.asarray(maps / np.linalg.norm(maps, axis=1, keepdims=True), np.float32)


def test_the_highest_scores_come_first_and_then_what_is_unlike_them() -> None:
    contrasts = views(5)
    contrasts[2] = -contrasts[3]  # the least like the one with the highest score
    chosen = choose([survey_of(contrasts, {1: 0.6, 3: 0.9, 4: 0.3}, 2.5)], 3)
    assert [one.frame.index for one in chosen] == [3, 1, 2]
    assert [one.frame.score > 0 for one in chosen] == [True, True, False]  # 0.3 is no reason


def test_near_duplicates_are_chosen_once_also_across_videos() -> None:
    contrasts = views(2)[[0, 0, 1]]
    chosen = choose([survey_of(contrasts, {0: 0.8}, 2.0), survey_of(contrasts, {}, 1.0)], 6)
    assert sorted((one.video, one.frame.index) for one in chosen) == [(0, 0), (1, 2)]


def test_videos_are_represented_by_their_length_and_none_is_left_out() -> None:
    long, short, none = (survey_of(views(n, seed), {}, n / 2) for n, seed in ((30, 1), (10, 2), (0, 3)))
    chosen = [one.video for one in choose([short, none, long], 12)]
    assert (chosen.count(2), chosen.count(0), chosen.count(1)) == (9, 3, 0)
    assert [one.video for one in choose([short, long], 1)] == [1]
    assert len(choose([short, long], 99)) == 40


def test_a_shortlist_keeps_the_best_of_each_stretch_and_its_bound() -> None:
    kept = _Shortlist(8)
    for index in range(100):
        kept.add(Candidate(index, index / 25, {"jump": 0.9} if index == 37 else {}, views(1)[0], ()))
    assert [one.index for one in kept.candidates()] == [0, 13, 37, 38, 50, 63, 75, 88]
    kept.add(Candidate(100, 4.0, {}, views(1)[0], ()))
    assert [one.index for one in kept.candidates()] == [0, 37, 50, 75, 100]
