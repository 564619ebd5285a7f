"""DoubtWatch on maps drawn by hand: each doubt alone."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.settings import Settings
from rtpolyp.suggest.doubts import BLINK_SECONDS, DoubtWatch

POINT = Settings(threshold=0.5, minimum_area=0.001, minimum_confidence=0.6)
FRAME = 0.04  # seconds


def discs(*centres: int, confidence: float = 0.9, radius: int = 12) -> NDArray[np.uint8]:
    """A map with a disc at each x, of one probability."""
    probability = np.zeros((96, 128), np.uint8)
    for x in centres:
        cv2.circle(probability, (x, 48), radius, round(255 * confidence), -1)
    return probability


def watch(*frames: NDArray[np.uint8], every: float = FRAME) -> list[dict[str, float]]:
    """The doubts of a stream on which both networks agree."""
    doubts = DoubtWatch(POINT, POINT)
    return [doubts(one, one, index * every) for index, one in enumerate(frames)]


def test_what_is_sure_and_stays_is_in_no_doubt() -> None:
    assert watch(discs(40), discs(40), discs(), discs()) == [{}, {}, {}, {}]


def test_networks_that_differ() -> None:
    doubts = DoubtWatch(POINT, POINT)
    assert doubts(discs(40), discs(), 0) == {"disagreement": 1.0}
    assert doubts(discs(40), discs(52), FRAME)["disagreement"] == pytest.approx(0.76, abs=0.03)
    assert doubts(discs(40), discs(40, 90), 2 * FRAME)["disagreement"] == pytest.approx(0.5, abs=0.02)


def test_networks_of_other_sizes_are_compared_by_place() -> None:
    small = cv2.resize(discs(40), (64, 64), interpolation=cv2.INTER_AREA)
    assert DoubtWatch(POINT, POINT)(discs(40), np.asarray(small, np.uint8), 0)["disagreement"] < 0.05


def test_a_polyp_that_returns_puts_the_frames_without_it_in_doubt() -> None:
    seen = watch(discs(40), discs(), discs(90), discs(41, 90))
    assert [round(one.get("blink", 0), 1) for one in seen] == [0, 0.9, 0.9, 0]


def test_a_polyp_that_returns_late_or_elsewhere_is_another() -> None:
    assert watch(discs(40), discs(), discs(40), every=BLINK_SECONDS) == [{}, {}, {}]
    assert watch(discs(40), discs(), discs(100)) == [{}, {}, {}]


@pytest.mark.parametrize(
    ("after", "jump"),
    [
        (discs(52), 0.76),  # in place
        (discs(40, radius=24), 0.75),  # in area
        (discs(40, confidence=0.7), 0.5),  # in confidence: half of what is above 0.6
    ],
)
def test_jumps(after: NDArray[np.uint8], jump: float) -> None:
    (first, second) = watch(discs(40), after)
    assert "jump" not in first
    assert second["jump"] == pytest.approx(jump, abs=0.04)


@pytest.mark.parametrize(("confidence", "doubt"), [(0.6, 1.0), (0.55, 0.5), (0.65, 0.5), (0.72, 0.0)])
def test_polyps_near_the_operating_point(confidence: float, doubt: float) -> None:
    (seen,) = watch(discs(40, confidence=confidence))
    assert seen.get("borderline", 0) == pytest.approx(doubt, abs=0.03)


def test_certainty_alone_counts_as_a_network_can_have_it() -> None:
    strict = replace(POINT, minimum_confidence=1.0)
    doubts = DoubtWatch(strict, strict)
    assert [doubts(discs(40, confidence=1.0), discs(40, confidence=1.0), at) for at in (0, FRAME)] == [
        {"borderline": 1.0},
        {"borderline": 1.0},
    ]
