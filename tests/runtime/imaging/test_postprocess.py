import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from rtpolyp.imaging.geometry import Rect, View, make_view
from rtpolyp.imaging.postprocess import find_polyps, rasterise, threshold_level
from rtpolyp.settings import Settings

SETTINGS = Settings(threshold=0.5, minimum_area=0.002, minimum_confidence=0.6)
FRAME = (1280, 1024)
VIEW = make_view(FRAME, (160, 128), Rect(40, 24, 1200, 960))
# Smoothing and thinning draw a bend of radius r inwards by about 0.5 / r network pixels: 1 % of the area at
# r = 10, the smallest here.
AGREEMENT = 0.015


def blobs(*ellipses: tuple[float, float, float, float], softness: float = 1.0) -> NDArray[np.uint8]:
    """A 160x128 map of ellipses (x, y, half axes): a sigmoid of the distance to their edges."""
    rows, columns = np.mgrid[:128, :160] + 0.5
    logit = np.full((128, 160), -20.0)
    for x, y, a, b in ellipses:
        radius = np.hypot((columns - x) / a, (rows - y) / b)
        logit = np.maximum(logit, (1 - radius) * min(a, b) / softness)
    return np.asarray(np.rint(255 / (1 + np.exp(-4 * np.clip(logit, -8, 8)))), np.uint8)


def upsampled(probability: NDArray[np.uint8], view: View, level: int) -> NDArray[np.bool_]:
    """What thresholding the bilinearly enlarged map gives on the frame."""
    mask = np.zeros((view.frame_height, view.frame_width), np.bool_)
    crop = view.crop
    large = cv2.resize(probability, (crop.width, crop.height), interpolation=cv2.INTER_LINEAR)
    mask[crop.y : crop.y + crop.height, crop.x : crop.x + crop.width] = large >= level
    return mask


@pytest.mark.parametrize("threshold", [0.001, 0.2, 0.5, 127 / 255, 128 / 255, 0.7, 0.999])
def test_the_level_is_the_first_value_at_or_above_the_threshold(threshold: float) -> None:
    level = threshold_level(threshold)
    assert level / 255 >= threshold
    assert (level - 1) / 255 < threshold


def test_two_polyps_come_largest_first_where_they_are() -> None:
    small, large = find_polyps(blobs((40, 40, 10, 10), (110, 80, 30, 20)), VIEW, SETTINGS)[::-1]
    assert small.area == pytest.approx(np.pi * 75 * 75, rel=AGREEMENT)
    assert large.area == pytest.approx(np.pi * 225 * 150, rel=AGREEMENT)
    assert (large.box.x, large.box.y) == pytest.approx((40 + 80 * 7.5, 24 + 60 * 7.5), abs=1.5)
    assert (large.box.width, large.box.height) == pytest.approx((450, 300), abs=3)
    assert large.contour.dtype == np.float32
    assert 0.9 < large.confidence < 1.0


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("softness", [0.3, 1.0, 4.0])
def test_contour_area_and_mask_agree_with_the_enlarged_map(threshold: float, softness: float) -> None:
    settings = Settings(threshold, minimum_area=0.002, minimum_confidence=0)
    probability = blobs((50, 50, 25, 18), (70, 62, 20, 30), (140, 20, 12, 12), softness=softness)
    polyps = find_polyps(probability, VIEW, settings)
    mask = rasterise(polyps, FRAME) == 255
    reference = upsampled(probability, VIEW, threshold_level(threshold))
    assert (mask & reference).sum() / (mask | reference).sum() > 1 - AGREEMENT
    assert sum(polyp.area for polyp in polyps) == pytest.approx(mask.sum(), rel=AGREEMENT)


def test_a_polyp_at_the_edge_reaches_the_edge_of_the_picture() -> None:
    (polyp,) = find_polyps(blobs((0, 128, 30, 30)), VIEW, SETTINGS)
    assert (polyp.box.x, polyp.box.y + polyp.box.height) == (40, 984)
    assert polyp.area == pytest.approx(np.pi / 4 * 225 * 225, rel=2 * AGREEMENT)  # two right-angled corners


def test_a_full_picture_is_one_polyp_inside_the_frame() -> None:
    whole = make_view(FRAME, (160, 128))
    (polyp,) = find_polyps(np.full((128, 160), 255, np.uint8), whole, SETTINGS)
    assert polyp.box == Rect(0, 0, 1280, 1024)
    assert rasterise([polyp], FRAME).mean() > 254


def test_neighbours_one_pixel_apart_stay_apart() -> None:
    probability = np.zeros((128, 160), np.uint8)
    probability[40:80, 40:80] = probability[40:80, 81:121] = 255
    first, second = find_polyps(probability, VIEW, SETTINGS)
    assert first.area == pytest.approx(second.area, rel=AGREEMENT)
    assert not (rasterise([first], FRAME) & rasterise([second], FRAME)).any()


def test_a_hole_belongs_to_the_polyp_but_not_to_its_confidence() -> None:
    probability = blobs((80, 64, 30, 30))
    probability[60:68, 76:84] = 0
    (polyp,) = find_polyps(probability, VIEW, SETTINGS)
    assert polyp.area == pytest.approx(np.pi * 225 * 225, rel=AGREEMENT)
    assert polyp.confidence == pytest.approx(probability[probability >= 128].mean() / 255)


def test_nothing_is_found_under_the_threshold() -> None:
    assert find_polyps(np.full((128, 160), 127, np.uint8), VIEW, SETTINGS) == ()
    assert len(find_polyps(np.full((128, 160), 128, np.uint8), VIEW, Settings(0.5, 0, 0))) == 1


def test_a_region_under_the_minimum_area_is_dropped() -> None:
    probability = np.zeros((128, 160), np.uint8)
    probability[10:14, 10:20] = 255  # 40 of 20,480 pixels
    assert len(find_polyps(probability, VIEW, Settings(0.5, 40 / 20480, 0))) == 1
    assert find_polyps(probability, VIEW, Settings(0.5, 41 / 20480, 0)) == ()


def test_a_region_under_the_minimum_confidence_is_dropped() -> None:
    probability = np.zeros((128, 160), np.uint8)
    probability[30:60, 30:60] = 153  # 0.6
    assert len(find_polyps(probability, VIEW, Settings(0.5, 0, 0.6))) == 1
    assert find_polyps(probability, VIEW, Settings(0.5, 0, 0.61)) == ()


def test_a_single_pixel_is_outlined_when_asked_for() -> None:
    probability = np.zeros((128, 160), np.uint8)
    probability[20, 30] = 255
    (polyp,) = find_polyps(probability, VIEW, Settings(0.5, 0, 0))
    assert polyp.area > 0
    assert polyp.contour.mean(axis=0) == pytest.approx((40 + 30.5 * 7.5, 24 + 20.5 * 7.5))


def test_noise_does_not_raise() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (128, 160), dtype=np.uint8)
    for polyp in find_polyps(noise, VIEW, Settings(0.5, 0, 0)):
        assert polyp.box.x >= 0
        assert polyp.box.x + polyp.box.width <= FRAME[0]


def test_rasterising_nothing_gives_an_empty_mask() -> None:
    mask = rasterise([], FRAME)
    assert mask.shape == (1024, 1280)
    assert not mask.any()
