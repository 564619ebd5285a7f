"""Depthwise convolutions in bfloat16: the same function as PyTorch's own, with a float32 gradient."""

import pytest
import torch

from train.encoders.depthwise import is_slow
from train.encoders.efficientnet_lite import SameConv2d

BFLOAT16_TOLERANCE = 2**-7  # relative to the largest: eight bits of mantissa, summed in another order


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (3, 2), (5, 2)])
def test_gradients_are_those_of_float32(kernel, stride):
    torch.manual_seed(0)
    conv = SameConv2d(24, 24, kernel, stride, groups=24)
    images = torch.randn(2, 24, 16, 16).bfloat16().float()
    conv.weight.data = conv.weight.data.bfloat16().float()  # so that rounding the inputs changes nothing
    found = []
    for fast in (False, True):
        x = images.clone().requires_grad_()
        conv.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=fast):
            assert is_slow(conv, x) == fast
            y = conv(x)
        assert y.dtype == (torch.bfloat16 if fast else torch.float32)
        y.float().sin().sum().backward()
        found.append((y.float().detach(), x.grad, conv.weight.grad.clone()))
    for ours, expected in zip(found[1], found[0], strict=True):
        assert (ours - expected).abs().max() <= 2 * BFLOAT16_TOLERANCE * expected.abs().max()


def test_others_are_left_to_pytorch():
    x = torch.randn(1, 8, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_slow(SameConv2d(8, 8, 3, groups=8), x)  # fast as it is
        assert not is_slow(SameConv2d(8, 8, 5), x)  # not depthwise
        with torch.no_grad():
            assert not is_slow(SameConv2d(8, 8, 5, groups=8), x)
    assert not is_slow(SameConv2d(8, 8, 5, groups=8), x)
