"""scripts/score_stretches.py rehearsed: the phantom's truth meets its frames, both trackers are scored."""

from fractions import Fraction

import numpy as np
import pytest

from rtpolyp.phantom import render_phantom
from scripts import score_stretches
from scripts.score_stretches import phantom, scores
from tests.runtime.red_disc import SPEC
from tests.runtime.stub_engine import StubEngine


def test_the_phantoms_truth_comes_with_its_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_stretches, "RATE", Fraction(2))
    monkeypatch.setattr(score_stretches, "SIZE", (128, 96))
    source, truth = phantom(0, 3.0)
    expected = [frame.mask for frame in render_phantom(3.0, (128, 96), 2)]
    masks = [np.logical_or.reduce(next(truth.frames) or (np.zeros((96, 128), np.bool_),)) for _ in source]
    assert len(masks) == 6
    assert any(mask.any() for mask in masks)
    for mask, rendered in zip(masks, expected, strict=True):
        assert np.count_nonzero(mask ^ rendered) < 0.01 * mask.size  # but for specks


def test_a_report_after_each_clip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_stretches, "RATE", Fraction(2))
    monkeypatch.setattr(score_stretches, "SIZE", (128, 96))
    with StubEngine(SPEC) as engine:
        first, second = scores(engine, (phantom(seed, 3.0) for seed in range(2)))
    assert [report["tracked"]["frames"] for report in (first, second)] == [6, 12]
    assert second["alone"]["sequences"] == 2
    assert second["tracked"]["polyps"]["annotated"] > first["tracked"]["polyps"]["annotated"] > 0
    assert set(second["tracked over alone"]) == {"returns", "flicker_per_second"}
