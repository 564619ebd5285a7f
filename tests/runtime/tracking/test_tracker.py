"""PolypTracker on maps that are drawn here: hysteresis, ids, delays."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import make_view
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.settings import Settings
from rtpolyp.tracking.smoothing import TemporalSmoother
from rtpolyp.tracking.tracker import DOUBT_MS, DROP_MS, PolypTracker

VIEW = make_view((640, 480), (160, 120))
POINT = Settings(threshold=0.7, minimum_area=0.0, minimum_confidence=0.85)
SURE, DOUBT, NOTHING = 250, 160, 90  # above the operating point, between the two levels, under both
FPS = 25
DELAY_LIMIT_MS = 40.0

Blob = tuple[int, int, int, int]  # x, y of a square in the network's picture, its side, its probability


def drawn(*blobs: Blob) -> NDArray[np.uint8]:
    probability = np.zeros((120, 160), np.uint8)
    for x, y, side, value in blobs:
        probability[y : y + side, x : x + side] = value
    return probability


def tracks(tracker: PolypTracker, frames: list[list[Blob]], fps: float = FPS) -> list[list[int | None]]:
    """The ids in each frame, by their place from left to right."""
    found = [tracker(drawn(*blobs), k / fps, VIEW, POINT)[1] for k, blobs in enumerate(frames)]
    return [[p.track for p in sorted(polyps, key=lambda p: p.box.x)] for polyps in found]


def at(value: int, x: int = 40) -> list[Blob]:
    return [(x, 40, 30, value)]


def changes(shown: list[bool]) -> int:
    return int(np.count_nonzero(np.diff(np.array(shown, np.int8))))


def test_a_polyp_that_the_network_doubts_for_a_while_does_not_flicker():
    frames = [drawn(*at(SURE if k % 4 < 2 else DOUBT)) for k in range(40)]
    tracker, smoother = PolypTracker(), TemporalSmoother()
    tracked = [bool(tracker(frame, k / FPS, VIEW, POINT)[1]) for k, frame in enumerate(frames)]
    alone = [bool(find_polyps(smoother(f, k / FPS), VIEW, POINT)) for k, f in enumerate(frames)]
    assert changes(alone) >= 18
    assert changes(tracked) == 0


def test_noise_about_the_operating_point_flickers_at_most_half_as_often():
    rng = np.random.default_rng(0)
    values = np.clip(rng.normal(205, 45, 400), 0, 255).astype(int)  # mean .80, where the minimum is .85
    frames = [drawn(*at(value)) for value in values]
    tracker, smoother = PolypTracker(), TemporalSmoother()
    tracked = [bool(tracker(frame, k / FPS, VIEW, POINT)[1]) for k, frame in enumerate(frames)]
    smoothed = [bool(find_polyps(smoother(f, k / FPS), VIEW, POINT)) for k, f in enumerate(frames)]
    unsmoothed = [bool(find_polyps(f, VIEW, POINT)) for f in frames]
    assert changes(smoothed) > 0.5 * changes(unsmoothed)  # so it is the tracker that does it
    assert changes(tracked) <= 0.2 * changes(unsmoothed)


def test_doubt_alone_starts_nothing():
    assert tracks(PolypTracker(), [at(DOUBT)] * 10) == [[]] * 10


def test_lasting_doubt_ends_the_outline_and_the_track_is_the_same_where_it_is_sure_again_soon():
    held, soon, late = int(DOUBT_MS / 1000 * FPS), 5, int(DROP_MS / 1000 * FPS)
    tracker = PolypTracker(TemporalSmoother(0))
    frames = [at(SURE), *[at(DOUBT)] * (held + soon), at(SURE), *[at(DOUBT)] * (held + late + 1), at(SURE)]
    seen = [ids[0] if ids else None for ids in tracks(tracker, frames)]
    kept = held + 2  # the sure one, those held, and one more where it was
    assert seen[:kept] == [1] * kept
    assert seen[kept : held + soon + 1] == [None] * (soon - 1)
    again = seen[held + soon + 1 :]
    assert again[:kept] == [1] * kept
    assert again[kept:] == [None] * late + [2]


def test_a_sure_core_counts_however_faint_its_surroundings():
    probability = drawn((20, 20, 90, 130), (60, 60, 12, SURE))  # mean .52 at the lower threshold
    _, polyps = PolypTracker()(probability, 0.0, VIEW, POINT)
    assert [polyp.track for polyp in polyps] == [1]


def test_a_sure_core_in_faint_surroundings_counts_beside_a_polyp_that_goes_on():
    held, core = (10, 40, 20, SURE), [(60, 20, 90, 130), (100, 60, 12, SURE)]
    frames = [[held], [held], [held, *core]]
    assert tracks(PolypTracker(TemporalSmoother(0)), frames) == [[1], [1], [1, 2]]


def test_what_is_hardly_above_one_half_does_not_hold():
    assert tracks(PolypTracker(TemporalSmoother(0)), [at(SURE), at(130), at(130)])[-1] == []


def test_doubt_elsewhere_is_not_held():
    assert tracks(PolypTracker(), [at(SURE), [*at(SURE), (110, 40, 30, DOUBT)]]) == [[1], [1]]


def test_a_threshold_below_the_held_one_holds_at_its_own():
    settings = Settings(threshold=0.3, minimum_area=0.0, minimum_confidence=0.0)
    _, polyps = PolypTracker()(drawn(*at(NOTHING)), 0.0, VIEW, settings)
    assert [polyp.track for polyp in polyps] == [1]


@pytest.mark.parametrize("fps", [25, 29.97, 30, 50, 59.94, 60, 100, 120])
@pytest.mark.parametrize(("start", "end"), [(0, 255), (255, 0)])
def test_an_outline_comes_and_goes_within_40_ms(fps: float, start: int, end: int):
    tracker = PolypTracker()
    shown = tracks(tracker, [at(start)] * 20 + [at(end)] * 10, fps)[20:]
    late = next(k for k, ids in enumerate(shown) if bool(ids) == bool(end))
    assert 1000 * late / fps <= DELAY_LIMIT_MS + 0.1


def test_an_outline_stays_where_it_was_for_one_missing_frame():
    tracker = PolypTracker()
    assert tracks(tracker, [at(SURE), at(SURE), [], at(SURE)]) == [[1]] * 4


def test_frames_far_apart_keep_no_outline():
    assert tracks(PolypTracker(), [at(SURE), []], fps=10) == [[1], []]


def test_a_polyp_that_moves_by_half_its_size_keeps_its_id():
    frames = [at(SURE if k % 2 else DOUBT + 50 * (k == 0), x=5 + 15 * k) for k in range(1, 9)]
    assert tracks(PolypTracker(), frames) == [[1]] * 8


def test_one_that_jumps_across_the_picture_is_another_and_leaves_no_outline_behind():
    assert tracks(PolypTracker(), [at(SURE, x=5), at(SURE, x=115)]) == [[1], [2]]


def test_two_polyps_keep_their_ids_whichever_is_larger():
    frames = [[(10, 40, 20 + 4 * k, SURE), (90, 40, 40 - 4 * k, SURE)] for k in range(7)]
    assert tracks(PolypTracker(), frames) in ([[1, 2]] * 7, [[2, 1]] * 7)


def test_two_that_merge_are_one_and_have_their_ids_back_when_they_part():
    apart = [(20, 40, 30, SURE), (60, 40, 30, SURE)]
    merged = [*apart, (45, 50, 20, SURE)]
    seen = tracks(PolypTracker(), [apart, apart, merged, merged, merged, apart])
    assert seen[0] == seen[-1]
    assert [len(ids) for ids in seen] == [2, 2, 1, 1, 1, 2]
    assert set(seen[3]) < set(seen[0])


def test_one_that_splits_keeps_its_id_in_one_part():
    whole = [(20, 40, 30, SURE), (48, 50, 10, SURE), (55, 40, 30, SURE)]
    parts = [(20, 40, 30, SURE), (58, 40, 20, SURE)]
    seen = tracks(PolypTracker(), [whole, whole, parts, parts])
    assert seen[:2] == [[1], [1]]
    assert sorted(seen[2]) == sorted(seen[3]) == [1, 2]


def test_a_track_is_dropped_after_its_time():
    gap = int(DROP_MS / 1000 * FPS)
    assert tracks(PolypTracker(), [at(SURE)] + [[]] * (gap - 1) + [at(SURE)])[-1] == [1]
    assert tracks(PolypTracker(), [at(SURE)] + [[]] * gap + [at(SURE)])[-1] == [2]


@pytest.mark.parametrize("pts_seconds", [0.2, 0.1, 0.0])
def test_a_timestamp_that_does_not_advance_starts_anew(pts_seconds: float):
    tracker = PolypTracker()
    tracker(drawn(*at(SURE)), 0.2, VIEW, POINT)
    smoothed, polyps = tracker(drawn(*at(DOUBT)), pts_seconds, VIEW, POINT)
    assert polyps == ()
    assert smoothed.max() == DOUBT


def test_after_a_reset_ids_go_on():
    tracker = PolypTracker()
    tracker(drawn(*at(SURE)), 0.0, VIEW, POINT)
    tracker.reset()
    assert tracker(drawn(*at(DOUBT)), 0.04, VIEW, POINT)[1] == ()
    assert [p.track for p in tracker(drawn(*at(SURE)), 0.08, VIEW, POINT)[1]] == [2]


def test_a_network_of_another_size_goes_on_with_the_tracks():
    tracker, small = PolypTracker(), make_view((640, 480), (80, 60))
    tracker(drawn(*at(SURE)), 0.0, VIEW, POINT)
    _, polyps = tracker(np.ascontiguousarray(drawn(*at(SURE))[::2, ::2]), 0.04, small, POINT)
    assert [polyp.track for polyp in polyps] == [1]


def test_confidence_is_that_of_what_is_outlined():
    tracker = PolypTracker(TemporalSmoother(0))
    tracker(drawn(*at(SURE)), 0.0, VIEW, POINT)
    _, (polyp,) = tracker(drawn(*at(DOUBT)), 0.04, VIEW, POINT)
    assert polyp.confidence == pytest.approx(DOUBT / 255)


def test_ids_are_kept_among_many():
    blobs = [(10 + 50 * (k % 3), 10 + 55 * (k // 3), 24, SURE) for k in range(6)]
    seen = tracks(PolypTracker(), [blobs] * 5)
    assert all(ids == seen[0] for ids in seen)
    assert sorted(seen[0]) == [1, 2, 3, 4, 5, 6]
