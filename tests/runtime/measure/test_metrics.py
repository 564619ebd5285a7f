"""Every convention against an independent, slow and obvious implementation."""

import math

import cv2
import numpy as np
import pytest

from rtpolyp.measure.metrics import Detection, Overlap, detect, overlap, soft_dice, threshold_means

EXACT = 1e-12  # both sides are sums of a few hundred doubles


def masks() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(7)
    one_pixel = np.zeros((23, 31), bool)
    one_pixel[5, 9] = True
    return {
        "random": rng.random((23, 31)) < 0.3,
        "empty": np.zeros((23, 31), bool),
        "full": np.ones((23, 31), bool),
        "one pixel": one_pixel,
    }


def probabilities() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    spike = np.zeros((23, 31), np.uint8)
    spike[5, 9] = 3
    return {
        "random": rng.integers(0, 256, (23, 31), dtype=np.uint8),
        "narrow": rng.integers(17, 60, (23, 31), dtype=np.uint8),
        "zero": np.zeros((23, 31), np.uint8),
        "constant": np.full((23, 31), 200, np.uint8),
        "full": np.full((23, 31), 255, np.uint8),
        "spike": spike,
    }


def naive_counts(prediction: np.ndarray, truth: np.ndarray) -> tuple[int, int, int, int]:
    tp = fp = fn = tn = 0
    for p, t in zip(prediction.ravel().tolist(), truth.ravel().tolist(), strict=True):
        tp += p and t
        fp += p and not t
        fn += t and not p
        tn += not p and not t
    return tp, fp, fn, tn


@pytest.mark.parametrize("truth", ["random", "full", "one pixel"])
@pytest.mark.parametrize("prediction", masks())
def test_overlap(prediction: str, truth: str) -> None:
    tp, fp, fn, tn = naive_counts(masks()[prediction], masks()[truth])
    scores = overlap(masks()[prediction], masks()[truth])
    background = tn / (tn + fp + fn) if tn + fp + fn else 1.0
    assert scores.dice == pytest.approx(2 * tp / (2 * tp + fp + fn), abs=EXACT)
    assert scores.iou == pytest.approx(tp / (tp + fp + fn), abs=EXACT)
    assert scores.two_class_iou == pytest.approx((tp / (tp + fp + fn) + background) / 2, abs=EXACT)


@pytest.mark.parametrize("prediction", masks())
def test_overlap_has_no_dice_without_a_polyp(prediction: str) -> None:
    scores = overlap(masks()[prediction], masks()["empty"])
    assert all(map(math.isnan, (scores.dice, scores.iou, scores.two_class_iou)))
    assert scores.predicted == masks()[prediction].sum()


def test_overlaps_add_up_to_the_data_set() -> None:
    rng = np.random.default_rng(3)
    predictions, truths = rng.random((2, 5, 8, 9)) < 0.4
    summed = sum(map(overlap, predictions, truths), Overlap(0, 0, 0, 0))
    assert summed == overlap(predictions.reshape(40, 9), truths.reshape(40, 9))


def naive_threshold_means(probability: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """The toolbox, loop by loop, in exact integers: stretched value v passes k when v * 255 ≥ k * range."""
    values = probability.astype(int)
    low, high = values.min(), values.max()
    dices, ious = [], []
    for k in range(256):
        mask = 255 * (values - low) >= k * (high - low) if high > low else values >= k
        tp, fp, fn, _ = naive_counts(mask, truth)
        dices.append(2 * tp / (2 * tp + fp + fn))
        ious.append(tp / (tp + fp + fn))
    return sum(dices) / 256, sum(ious) / 256


@pytest.mark.parametrize("truth", ["random", "full", "one pixel"])
@pytest.mark.parametrize("probability", probabilities())
def test_threshold_means(probability: str, truth: str) -> None:
    expected = naive_threshold_means(probabilities()[probability], masks()[truth])
    assert threshold_means(probabilities()[probability], masks()[truth]) == pytest.approx(expected, abs=EXACT)


def test_threshold_means_have_no_value_without_a_polyp() -> None:
    assert all(map(math.isnan, threshold_means(probabilities()["random"], masks()["empty"])))


def test_soft_dice() -> None:
    probability = (probabilities()["random"] / 255).astype(np.float32)
    truth = masks()["random"].astype(np.float32)
    common = sum(float(p) * float(t) for p, t in zip(probability.flat, truth.flat, strict=True))
    both = sum(map(float, probability.flat)) + sum(map(float, truth.flat))
    assert soft_dice(probability, truth) == pytest.approx((2 * common + 1) / (both + 1), rel=1e-6)


def naive_detect(outlines: np.ndarray, polyps: np.ndarray) -> Detection:
    ious = [
        [
            (outlines == o)[polyps == p].sum() / ((outlines == o) | (polyps == p)).sum()
            for p in range(1, polyps.max() + 1)
        ]
        for o in range(1, outlines.max() + 1)
    ]
    found = {p for row in ious for p, iou in enumerate(row) if iou >= 0.3}
    false = sum(all(iou < 0.3 for iou in row) for row in ious)
    return Detection(int(polyps.max()), len(found), int(outlines.max()), false)


def labels(mask: np.ndarray) -> np.ndarray:
    return cv2.connectedComponents(mask.astype(np.uint8))[1]


@pytest.mark.parametrize("seed", range(6))
def test_detect(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.random((2, 60, 80), np.float32).transpose(1, 2, 0), (0, 0), 5)
    first, second = (labels(channel > np.quantile(channel, 0.8)) for channel in np.moveaxis(noise, 2, 0))
    shifted = np.roll(first, 2, axis=1)
    for outlines in (second, shifted):
        assert detect(outlines, first) == naive_detect(outlines, first)
    assert detect(shifted, first).found > 0


@pytest.mark.parametrize("name", ["empty", "full", "one pixel"])
def test_detect_degenerate(name: str) -> None:
    empty, other = labels(masks()["empty"]), labels(masks()[name])
    assert detect(empty, other) == Detection(int(other.max()), 0, 0, 0)
    assert detect(other, empty) == Detection(0, 0, int(other.max()), int(other.max()))
    assert detect(other, other) == Detection(int(other.max()), int(other.max()), int(other.max()), 0)
