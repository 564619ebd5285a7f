"""S-measure, weighted F and E-measure: against pysodmetrics, and where their values are known."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from rtpolyp.measure.metrics import threshold_rates
from rtpolyp.measure.structure import e_measure, s_measure, stretch, weighted_f

SAME = 1e-4
SIZE = 97, 130  # height and width


def disc(x: int, y: int, radius: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    cv2.circle(mask, (x, y), radius, 1, -1)
    return mask > 0


def maps() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Name → map `uint8` and truth `bool`: near, blurred, noisy, at the border, tiny, constant, missed."""
    rng = np.random.default_rng(0)
    two = disc(30, 30, 12) | disc(90, 60, 20)
    blurred = cv2.GaussianBlur(two.astype(np.uint8) * np.uint8(255), (0, 0), 4)
    noise = rng.integers(0, 256, SIZE, np.uint8)
    dim = (blurred // 3 + 20).astype(np.uint8)
    corner = disc(0, 0, 25)
    dot = disc(64, 48, 0)
    return {
        "exact": (two.astype(np.uint8) * np.uint8(255), two),
        "blurred": (blurred, two),
        "shifted": (np.roll(blurred, 7, axis=1), two),
        "dim": (dim, two),
        "noise": (noise, two),
        "corner": (np.maximum(noise // 2, corner.astype(np.uint8) * np.uint8(200)), corner),
        "dot": (noise, dot),
        "constant": (np.full(SIZE, 90, np.uint8), two),
        "missed": (disc(100, 20, 10).astype(np.uint8) * np.uint8(255), disc(20, 70, 15)),
        "speckled": (blurred, rng.random(SIZE) < 0.03),
    }


@pytest.mark.needs_peers
def test_figures_equal_those_of_pysodmetrics(peers, tmp_path: Path) -> None:
    pairs = {}
    for name, (probability, truth) in maps().items():
        pairs[f"map_{name}"], pairs[f"truth_{name}"] = probability, truth.astype(np.uint8) * 255
    np.savez(tmp_path / "pairs.npz", **pairs)
    peers("sod_peer.py", tmp_path / "pairs.npz", tmp_path / "figures.json")
    theirs = json.loads((tmp_path / "figures.json").read_text())
    for name, (probability, truth) in maps().items():
        unit = stretch(probability)
        ours = {"s_measure": s_measure(unit, truth), "weighted_f": weighted_f(unit, truth)}
        ours["e_measure"] = e_measure(unit, truth)
        for key, value in ours.items():
            assert value == pytest.approx(theirs[name][key], abs=SAME), (name, key)
        if name not in ("missed", "constant", "dot"):  # where nothing is met, PraNet's specificity is 0
            sensitivity, specificity = threshold_rates(probability, truth)
            # the reference rounds a value down before it compares: it may pass one threshold of 256 fewer
            assert sensitivity == pytest.approx(theirs[name]["sensitivity"], abs=1 / 256), name
            assert specificity == pytest.approx(theirs[name]["specificity"], abs=2 / 256), name


def test_a_perfect_map_scores_one() -> None:
    probability, truth = maps()["exact"]
    unit = stretch(probability)
    assert s_measure(unit, truth) == pytest.approx(1)
    assert weighted_f(unit, truth) == pytest.approx(1)
    assert e_measure(unit, truth) == pytest.approx(1, abs=0.005)  # threshold 0 marks everything


def test_a_miss_scores_less_than_a_near_hit() -> None:
    missed, near = maps()["missed"], maps()["shifted"]
    for measure in (s_measure, weighted_f, e_measure):
        assert measure(stretch(missed[0]), missed[1]) < measure(stretch(near[0]), near[1]) - 0.1


def test_rates_of_pixels_by_hand() -> None:
    truth = np.zeros((2, 4), bool)
    truth[0] = True
    probability = np.array([[255, 255, 255, 0], [255, 0, 0, 0]], np.uint8)
    sensitivity, specificity = threshold_rates(probability, truth)
    assert sensitivity == pytest.approx((255 * 3 / 4 + 1) / 256)  # threshold 0 marks everything
    assert specificity == pytest.approx(255 * 3 / 4 / 256)


def test_rates_are_zero_where_no_polyp_pixel_is_met() -> None:
    missed, truth = maps()["missed"]
    sensitivity, specificity = threshold_rates(missed, truth)
    assert sensitivity == 1 / 256
    assert specificity == 0


def test_without_polyp_or_background_there_are_no_rates() -> None:
    for truth in (np.zeros(SIZE, bool), np.ones(SIZE, bool)):
        assert np.isnan(threshold_rates(maps()["noise"][0], truth)).all()
