from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.measure.crops import SCALES, crop_rates, evaluate_crops, outline_rate, polyp_free_crops
from rtpolyp.measure.dataset import load_pairs
from rtpolyp.measure.statistics import clopper_pearson
from rtpolyp.settings import Settings


def test_crops_hold_no_polyp_and_have_the_aspect(discs: Path) -> None:
    crops = polyp_free_crops(load_pairs(discs), 40, aspect=1.25)
    assert len(crops) == 40
    for crop in crops:
        rect, truth = crop.rect, cv2.imread(str(crop.pair.mask), cv2.IMREAD_GRAYSCALE)
        assert not truth[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width].any()
        assert (rect.x + rect.width, rect.y + rect.height) <= (256, 192)
        assert rect.width == pytest.approx(1.25 * rect.height, abs=1)
        assert rect.height == pytest.approx(crop.scale * 192, abs=1)


def test_crops_spread_over_scales_and_frames(discs: Path) -> None:
    crops = polyp_free_crops(load_pairs(discs), 12)
    assert [sum(crop.scale == scale for crop in crops) for scale in SCALES] == [4, 4, 4]
    assert {crop.pair.name for crop in crops if crop.scale == SCALES[0]} == {
        "clean",
        "found",
        "missed",
        "outlined",
    }


def test_crops_are_reproducible(discs: Path) -> None:
    pairs = load_pairs(discs)
    assert polyp_free_crops(pairs, 20, seed=1) == polyp_free_crops(pairs, 20, seed=1)
    assert polyp_free_crops(pairs, 20, seed=1) != polyp_free_crops(pairs, 20, seed=2)


def test_crops_shun_the_border(discs: Path) -> None:
    path = discs / "images" / "clean.png"
    image = cv2.imread(str(path))
    image[:, :140] = 5
    assert cv2.imwrite(str(path), image)
    crops = polyp_free_crops([pair for pair in load_pairs(discs) if pair.name == "clean"], 6)
    assert {crop.scale for crop in crops} == {
        0.35,
        0.5,
    }  # 134 pixels, a tenth of them dark, do not fit into 116
    assert all(crop.rect.x >= 140 - 0.1 * crop.rect.width for crop in crops)


def test_crops_fail_when_there_are_too_few(discs: Path) -> None:
    with pytest.raises(
        InputError, match=r"only \d+ polyp-free crops exist in these 4 frames, 500 were asked for"
    ):
        polyp_free_crops(load_pairs(discs), 500)
    for pair in load_pairs(discs):
        assert cv2.imwrite(str(pair.mask), np.full((192, 256), 255, np.uint8))
    with pytest.raises(InputError, match="only 0 polyp-free crops"):
        polyp_free_crops(load_pairs(discs), 1)


def test_evaluate_crops(discs: Path, red_engine: Callable) -> None:
    crops = polyp_free_crops(load_pairs(discs), 40, aspect=4 / 3)
    with red_engine() as engine:
        scores = evaluate_crops(engine, crops, Settings(0.5, minimum_area=0.2, minimum_confidence=0.0))
    assert [score.crop for score in scores] == crops
    for score in scores:  # the rule outlines red pixels, which these images have only in discs
        rect, image = score.crop.rect, cv2.imread(str(score.crop.pair.image))
        red = image[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width, 2] > 200
        if abs(red.mean() - 0.2) > 0.02:
            assert score.at_operating == (red.mean() > 0.2)
        if not red.any() or red.mean() > 0.01:
            assert score.at_half == red.any()
    rates = crop_rates(scores)
    assert rates["at_half"]["all"].outlined == sum(score.at_half for score in scores) > 0
    assert rates["operating"]["all"].outlined < rates["at_half"]["all"].outlined
    assert sum(rates["at_half"][f"scale {scale}"].total for scale in SCALES) == 40


def test_outline_rate() -> None:
    rate = outline_rate([True, False, False, False])
    assert (rate.outlined, rate.total, rate.rate) == (1, 4, 0.25)
    assert rate.interval == clopper_pearson(1, 4)
    assert outline_rate([]) is None
    assert crop_rates([]) == {}
