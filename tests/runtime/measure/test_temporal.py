"""Temporal metrics against hand-made sequences and independent computations."""

import itertools
import math

import cv2
import numpy as np
import pytest

from rtpolyp.imaging.geometry import Rect
from rtpolyp.measure.temporal import (
    Appearance,
    Chain,
    activations,
    chains,
    estimate_flow,
    flicker_rate,
    frame_seconds,
    returns,
    warped_iou,
)

HERE, THERE = Rect(20, 20, 10, 10), Rect(200, 100, 10, 10)


def times(count: int, rate: float = 25) -> np.ndarray:
    return np.arange(count) / rate


def film(pattern: str, box: Rect = HERE) -> list[list[Rect]]:
    """One box in the frames marked with #."""
    return [[box] if mark == "#" else [] for mark in pattern]


def appearance(pattern: str, alerts: str = "", rate: float = 25) -> Appearance:
    found = np.array([mark == "#" for mark in pattern])
    alerted = np.array([mark == "#" for mark in alerts.ljust(len(pattern), ".")])
    pts = 7 + times(len(pattern), rate)
    return Appearance(pts, len(pattern) / rate, found, alerted)


def test_chains_follow_a_region_that_moves_by_its_own_width() -> None:
    frames = [[Rect(20 + 10 * index, 20, 10, 10)] for index in range(5)]
    assert chains(frames) == [Chain(0, (0,) * 5)]


def test_chains_end_with_the_first_frame_that_lacks_the_region() -> None:
    assert chains(film("##.##")) == [Chain(0, (0, 0)), Chain(3, (0, 0))]
    assert chains(film("##.##"))[0].stop == 2


def test_chains_keep_two_regions_apart_whatever_their_order() -> None:
    frames = [[HERE, THERE], [THERE, HERE], [THERE]]
    assert sorted(chains(frames), key=len_of) == [Chain(0, (0, 1)), Chain(0, (1, 0, 0))]


def len_of(chain: Chain) -> int:
    return len(chain.members)


def test_chains_give_a_region_to_its_nearest_successor_only() -> None:
    near, nearer = Rect(28, 20, 10, 10), Rect(22, 20, 10, 10)
    assert chains([[HERE], [near, nearer]]) == [Chain(0, (0, 1)), Chain(1, (0,))]


def test_chains_do_not_jump() -> None:
    assert len(chains([[HERE], [THERE]])) == 2
    assert len(chains([[HERE], [Rect(39, 20, 10, 10)]])) == 1
    assert len(chains([[HERE], [Rect(40, 20, 10, 10)]])) == 2  # just beyond half a box each


def test_chains_of_nothing() -> None:
    assert chains([]) == []
    assert chains([[], []]) == []


@pytest.mark.parametrize(
    ("pattern", "changes"),
    [("#####", 0), (".....", 0), ("..###", 0), ("###..", 0), ("#.#.#", 4), (".##..#.", 2), ("#", 0)],
)
def test_an_interruption_is_two_changes(pattern: str, changes: int) -> None:
    assert appearance(pattern).changes == changes


@pytest.mark.parametrize("seed", range(5))
def test_changes_are_the_flips_between_first_and_last_find(seed: int) -> None:
    found = np.random.default_rng(seed).random(40) < 0.6
    text = "".join("#" if flag else "." for flag in found)
    flips = sum(a != b for a, b in itertools.pairwise(text.strip(".")))
    assert appearance(text).changes == flips


def test_flicker_rate_pools_polyps_by_their_seconds() -> None:
    shown = [appearance("#.#.#"), appearance("#" * 20)]
    assert flicker_rate(shown) == pytest.approx(4 / (25 / 25))
    assert flicker_rate([appearance("#.#.#", rate=5)]) == pytest.approx(4 / 1.0)
    assert math.isnan(flicker_rate([]))


def test_delays_count_from_the_first_frame_of_the_truth() -> None:
    late = appearance("..######", "......##")
    assert late.first_outline_ms == pytest.approx(80)
    assert late.first_alert_ms == pytest.approx(240)
    assert appearance("##").first_outline_ms == 0
    missed = appearance("....")
    assert missed.first_outline_ms is None
    assert missed.first_alert_ms is None


def test_a_frame_is_shown_until_the_next() -> None:
    assert frame_seconds(np.array([0, 0.1, 0.4])) == pytest.approx([0.1, 0.3, 0.3])
    assert frame_seconds(np.array([3.0])) == pytest.approx([0])
    assert frame_seconds(np.array([])).sum() == 0


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("#####", 0),
        ("..#..", 0),
        ("##.##", 1),
        ("#.#.#", 2),
        ("#.....#", 1),  # away for 5 of 10 frames a second: 0.5 s
        ("#......#", 0),
    ],
)
def test_what_vanishes_and_is_back_within_half_a_second_blinks(pattern: str, expected: int) -> None:
    assert returns(film(pattern), times(len(pattern), rate=10)) == expected


def test_half_a_second_is_a_limit_in_seconds() -> None:
    assert returns(film("#" + 12 * "." + "#"), times(14, rate=25)) == 1
    assert returns(film("#" + 13 * "." + "#"), times(14 + 1, rate=25)) == 0
    assert returns(film("#" + 30 * "." + "#"), times(32, rate=60)) == 1


def test_another_place_is_no_return() -> None:
    frames = film("##....") + film("##", THERE)
    assert returns(frames, times(8)) == 0


def test_a_vanished_outline_returns_once() -> None:
    twins = [[HERE], [], [HERE, Rect(31, 20, 10, 10)]]
    assert returns(twins, times(3)) == 1


def test_a_neighbour_that_stays_is_no_return() -> None:
    beside = Rect(32, 20, 10, 10)
    assert returns([[HERE], [HERE, beside], [HERE]], times(3)) == 0


def test_activations_count_uninterrupted_time() -> None:
    frames = film(13 * "#" + "." + 12 * "#" + "." + 25 * "#" + "." + 50 * "#")  # 0.52, 0.48, 1, 2 s
    pts = times(len(frames))
    assert [activations(frames, pts, minimum) for minimum in (0.5, 1.0, 2.0)] == [3, 2, 1]
    assert activations(frames, pts, 0.0) == 4


def test_activations_of_some_frames_only() -> None:
    frames = film("#." + "#####." + "######.")
    pts = np.arange(len(frames)) / 25
    assert [activations(frames, pts, minimum_frames=fewest) for fewest in (1, 2, 6, 7)] == [3, 2, 1, 0]
    assert activations(frames, pts, 0.25, minimum_frames=6) == 0  # 0.24 s


def test_two_outlines_at_once_are_two_activations() -> None:
    assert activations([[HERE, THERE]] * 25, times(25), 1.0) == 2


def test_a_frame_that_is_shown_long_counts_as_long() -> None:
    assert activations(film("#.."), np.array([0, 0.6, 0.7]), 0.5) == 1


def textured(shift: tuple[int, int] = (0, 0)) -> np.ndarray:
    """A smooth random picture `(96, 128) uint8`, moved by whole pixels."""
    noise = np.random.default_rng(1).random((160, 200)).astype(np.float32)
    picture = cv2.normalize(cv2.GaussianBlur(noise, (0, 0), 2.5), None, 0, 255, cv2.NORM_MINMAX)
    x, y = 30 - shift[0], 30 - shift[1]
    return np.asarray(picture[y : y + 96, x : x + 128], np.uint8)


def disc(x: int, y: int, radius: int = 15) -> np.ndarray:
    rows, columns = np.ogrid[:96, :128]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def test_flow_finds_a_pan() -> None:
    flow = estimate_flow(textured(), textured((5, -3)))
    assert flow.shape == (96, 128, 2)
    assert np.median(flow, axis=(0, 1)) == pytest.approx((-5, 3), abs=0.3)


def test_a_mask_that_moves_with_the_picture_is_consistent() -> None:
    flow = estimate_flow(textured(), textured((5, -3)))
    assert warped_iou(disc(60, 48), disc(65, 45), flow) > 0.93
    stays, moves = disc(60, 48), disc(65, 45)
    unwarped = np.count_nonzero(stays & moves) / np.count_nonzero(stays | moves)
    assert warped_iou(stays, stays, flow) == pytest.approx(unwarped, abs=0.04)


def test_warped_iou_is_plain_iou_without_motion() -> None:
    a, b, still = disc(60, 48), disc(66, 50), np.zeros((96, 128, 2), np.float32)
    assert warped_iou(a, b, still) == np.count_nonzero(a & b) / np.count_nonzero(a | b)


def test_an_outline_that_comes_or_goes_is_inconsistent() -> None:
    nothing, still = np.zeros((96, 128), np.bool_), np.zeros((96, 128, 2), np.float32)
    assert warped_iou(nothing, disc(60, 48), still) == 0
    assert warped_iou(disc(60, 48), nothing, still) == 0
    assert math.isnan(warped_iou(nothing, nothing, still))


def test_what_enters_the_picture_is_no_inconsistency() -> None:
    pan = np.full((96, 128, 2), (10, 0), np.float32)  # the picture moves 10 pixels to the left
    strip = np.zeros((96, 128), np.bool_)
    strip[:, 118:] = True
    assert math.isnan(warped_iou(np.zeros_like(strip), strip, pan))
