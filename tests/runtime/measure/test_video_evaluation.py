"""Observing and scoring a video whose outlines and truth are known frame by frame."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.statistics import clopper_pearson, poisson_interval
from rtpolyp.measure.video_evaluation import Observation, observe, untracked
from rtpolyp.measure.video_score import VideoScore, score_video, to_dict
from rtpolyp.measure.video_truth import Known, Polyps, Truth, no_polyps
from rtpolyp.pipeline import segment
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.array_source import ArraySource
from rtpolyp.video.image_files import ImageFiles
from tests.runtime.red_disc import SPEC
from tests.runtime.stub_engine import StubEngine

SIZE = (128, 96)
MUCOSA = (70, 80, 100)
LEFT, RIGHT = (40, 48), (96, 48)
RADIUS = 14
RATE = 10


def mask_at(place: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(SIZE[::-1], np.uint8)
    cv2.circle(mask, place, RADIUS, 1, -1)
    return mask.astype(np.bool_)


def clip(*patterns: tuple[str, tuple[int, int]]) -> ArraySource:
    """A red disc at each place in the frames marked with #, on textured mucosa."""
    noise = np.random.default_rng(0).integers(-45, 45, (*SIZE[::-1], 1))  # enough to count as clear
    pictures = []
    for marks in zip(*(marks for marks, _ in patterns), strict=True):
        picture = np.clip(np.array(MUCOSA) + noise, 0, 255).astype(np.uint8)
        for mark, (_, place) in zip(marks, patterns, strict=True):
            if mark == "#":
                picture[mask_at(place)] = (60, 60, 230)
        pictures.append(picture)
    return ArraySource(pictures, SIZE, Fraction(RATE))


def truth(*patterns: tuple[str, tuple[int, int]], count: int | None = None) -> Truth:
    def frames() -> Iterator[Polyps]:
        for marks in zip(*(marks for marks, _ in patterns), strict=True):
            yield tuple(mask_at(at) for mark, (_, at) in zip(marks, patterns, strict=True) if mark == "#")

    return Truth(frames(), count or len(patterns[0][0]))


def observe_frames(source: ArraySource, **known: object) -> list[list[Observation]]:
    """What each frame alone shows."""
    with StubEngine(SPEC) as engine:
        return observe(source, engine, known=Known(**known), trackers={"alone": lambda: untracked})["alone"]


def score(source: ArraySource, **options: object) -> VideoScore:
    return score_video(observe_frames(source, **options))


def test_the_default_tracker_shows_what_the_pipeline_does() -> None:
    pattern = ("####..##.###....", LEFT), (".###########.###", RIGHT)
    with StubEngine(SPEC) as engine:
        (seen,) = observe(clip(*pattern), engine)["tracked"]
        expected = [found.polyps for _, found in segment(clip(*pattern), engine)]
    assert [frame.outlines for frame in seen] == [tuple(p.box for p in polyps) for polyps in expected]


def test_polyps_are_found_where_an_outline_meets_them() -> None:
    #             seen by the engine              known to be there
    result = score(clip(("..####.#.#", LEFT), ("...##.....", RIGHT)), truth=truth((".#########", LEFT)))
    polyps = result.polyps
    assert (polyps.annotated, polyps.found, polyps.appearances, polyps.missed) == (9, 6, 1, 0)
    assert polyps.sensitivity == pytest.approx(6 / 9)
    assert (polyps.sensitivity_per_polyp, polyps.per_polyp) == (1, clopper_pearson(1, 1))
    assert (result.outlines, result.false_outlines, result.outlined) == (8, 2, 6)
    assert polyps.first_outline_ms == pytest.approx((100,))
    assert polyps.flicker_per_second == pytest.approx(4 / 0.9)  # two interruptions in nine frames
    assert result.returns == 2


def test_dice_is_over_frames_with_a_polyp() -> None:
    result = score(clip(("##..", LEFT)), truth=truth(("#.#.", LEFT)))
    assert result.polyps.dice == pytest.approx(0.5, abs=0.03)  # about 1 in the first frame, 0 in the third
    boxes = truth(("#.#.", LEFT))
    assert score(clip(("##..", LEFT)), truth=Truth(boxes.frames, 4, outlined=False)).polyps.dice is None


def test_two_polyps_at_once_are_two_appearances() -> None:
    patterns = ("######", LEFT), ("..####", RIGHT)
    result = score(clip(patterns[0], ("......", RIGHT)), truth=truth(*patterns))
    assert (result.polyps.appearances, result.polyps.missed, result.polyps.annotated) == (2, 1, 10)
    assert result.polyps.seconds == pytest.approx(1.0)
    assert result.polyps.sensitivity_per_polyp == 0.5
    assert to_dict(result)["polyps"]["sensitivity_per_polyp"] == 0.5


def test_polyp_free_frames_give_area_and_activations() -> None:
    seen = "#####.......######....##########"  # 0.5, 0.6 and 1 s, the last of them on a polyp for 0.3 s
    known = "......................###......."
    result = score(clip((seen, LEFT)), truth=truth((known, LEFT)))
    free = result.polyp_free
    assert (free.frames, free.outlined, free.seconds) == (29, 18, pytest.approx(2.9))
    assert [stay.count for stay in free.activations] == [3, 0, 0]
    assert [(stay.minimum_frames, stay.count) for stay in free.activations_by_frames] == [(1, 3), (6, 2)]
    assert free.activations_by_frames[0].per_examination is None
    first = free.activations[0]
    assert first.per_minute == pytest.approx(60 * 3 / 2.9)
    assert first.interval == pytest.approx([60 / 2.9 * end for end in poisson_interval(3)])
    disc = np.count_nonzero(mask_at(LEFT)) / (SIZE[0] * SIZE[1])
    assert free.area == pytest.approx(disc * 18 / 29, rel=0.1)


def test_without_truth_only_what_needs_none_is_scored() -> None:
    result = score(clip(("##.##", LEFT)))
    assert (result.false_outlines, result.polyps, result.polyp_free) == (None, None, None)
    assert (result.returns, result.outlines, result.seconds) == (1, 4, pytest.approx(0.5))
    assert result.returns_per_minute == pytest.approx(120)


def test_a_still_outline_is_consistent_and_a_blink_is_not() -> None:
    assert score(clip(("#####", LEFT))).consistency > 0.97
    assert score(clip(("##.##", LEFT))).consistency == pytest.approx(2 / 4, abs=0.02)
    assert score(clip((".....", LEFT))).consistency is None


def test_the_alert_comes_later_than_the_outline() -> None:
    pattern = (10 * "." + 20 * "#", LEFT)
    with StubEngine(SPEC) as engine:
        seen = observe(clip(pattern), engine, known=Known(truth(pattern)), alert_delay_ms=300)["tracked"]
    result = score_video(seen)
    (outline,), (alert,) = result.polyps.first_outline_ms, result.polyps.first_alert_ms
    assert alert - outline == pytest.approx(300)
    assert (result.alerts, result.polyps.unalerted) == (1, 0)


def test_nothing_passes_from_one_sequence_to_the_next() -> None:
    pattern = ("###.###", LEFT)
    cut = list("aaaabbb")
    whole, parts = score(clip(pattern)), score(clip(pattern), sequences=cut)
    assert (whole.returns, parts.returns) == (1, 0)
    assert whole.consistency < parts.consistency
    known = score(clip(pattern), truth=truth(("#######", LEFT)), sequences=cut)
    assert (known.sequences, known.polyps.appearances) == (2, 2)
    assert known.polyps.flicker_per_second == 0


def test_each_sequence_gets_a_tracker_of_its_own() -> None:
    with StubEngine(SPEC) as engine:
        cut = observe(clip(("###...", LEFT)), engine, known=Known(sequences=list("aaabbb")))["tracked"]
        alone = observe(clip(("...", LEFT)), engine)["tracked"]
    assert [len(frame.outlines) for frame in cut[1]] == [len(frame.outlines) for frame in alone[0]]


def test_trackers_share_one_run_of_the_engine() -> None:
    source = clip(("#.#.#.", LEFT))
    with StubEngine(SPEC) as engine:
        seen = observe(source, engine, trackers={"alone": lambda: untracked, "tracked": PolypTracker})
        assert len(engine.took) == 6
    assert list(seen) == ["alone", "tracked"]


def test_to_dict_holds_rates_and_medians() -> None:
    result = score(clip(("..####", LEFT)), truth=truth((".#####", LEFT)))
    content = to_dict(result)
    assert content["polyps"]["sensitivity"] == pytest.approx(4 / 5)
    assert content["polyps"]["first_outline_ms_median"] == pytest.approx(100)
    assert "first_alert_ms_median" not in content["polyps"]  # nothing is tracked, so nothing alerts
    assert content["polyp_free"]["frames"] == 1


def run(pattern: str, known: Truth | None = None, sequences: Sequence[str] | None = None) -> None:
    observe_frames(clip((pattern, LEFT)), truth=known, sequences=sequences)


def test_observing_fails_on_a_truth_that_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"arrays: more frames than its truth of 3"):
        run("####", truth(("###", LEFT)))
    with pytest.raises(InputError, match=r"arrays: 3 frames, but truth of 5"):
        run("###", truth(("#####", LEFT)))
    with pytest.raises(InputError, match=r"128x96 pixels, but its truth has 20x10 in frame 0"):
        run("###", Truth(iter([(np.ones((10, 20), np.bool_),)] * 3), 3))


def test_observing_fails_on_sequences_that_do_not_fit() -> None:
    with pytest.raises(InputError, match=r"frame 3 is in no sequence"):
        run("####", sequences=list("aab"))
    with pytest.raises(InputError, match=r"3 frames, but sequences of 5"):
        run("###", sequences=list("aabbb"))


def test_observing_fails_on_images_that_stand_alone(tmp_path) -> None:
    assert cv2.imwrite(str(tmp_path / "a.png"), np.zeros((96, 128, 3), np.uint8))
    with StubEngine(SPEC) as engine, pytest.raises(InputError, match="not a video"):
        observe(ImageFiles(tmp_path), engine, known=Known(no_polyps()))
