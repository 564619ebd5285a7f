import numpy as np
import pytest
import torch

from rtpolyp.errors import EngineError
from train.export.parity import Difference, Tolerance, check, compare, reference

expected = np.array([[[10, 127, 128, 250]]], np.uint8)


def test_compare_counts_levels_and_flips():
    found = np.array([[[12, 128, 128, 250]]], np.uint8)
    assert compare(expected, found) == Difference(levels=2, flipped=0.25)
    assert compare(expected, expected) == Difference(0, 0.0)
    assert compare(np.uint8([[[0]]]), np.uint8([[[255]]])).levels == 255


def test_check_passes_what_is_within():
    found = np.array([[[12, 127, 128, 250]]], np.uint8)
    assert check("ours", expected, found, Tolerance(levels=2, flipped=0.0)).levels == 2


@pytest.mark.parametrize(
    ("found", "tolerance"),
    [([13, 127, 128, 250], Tolerance(2, 1.0)), ([10, 128, 128, 250], Tolerance(255, 0.2))],
)
def test_check_fails_above_either_tolerance(found, tolerance):
    with pytest.raises(EngineError, match=r"ours: differs from PyTorch .*of pixels, not "):
        check("ours", expected, np.array([[found]], np.uint8), tolerance)


def test_reference_is_the_network_on_normalised_rgb(redness_net):
    frames = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), np.uint8)
    found = reference(redness_net, frames)
    blue, green, red = (torch.from_numpy(frames[..., c].astype(np.float32)) for c in range(3))
    planes = zip((red, green, blue), redness_net.encoder.mean, redness_net.encoder.std, strict=True)
    images = torch.stack([(plane - mean) / std for plane, mean, std in planes], dim=1)
    with torch.no_grad():
        probability = torch.sigmoid(redness_net(images))[:, 0].numpy()
    assert np.abs(found - 255 * probability).max() <= 0.5 + 1e-3
