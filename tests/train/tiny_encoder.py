"""An encoder small enough that a training step takes milliseconds."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from train.encoders import ENCODERS


class TinyEncoder(nn.Module):
    strides = (4, 8, 16, 32)
    out_channels = (8, 8, 8, 8)
    mean = (127.0, 127.0, 127.0)
    std = (64.0, 64.0, 64.0)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.halve = nn.ModuleList(nn.Conv2d(8, 8, 3, stride=2, padding=1) for _ in self.strides[1:])
        self.norm = nn.ModuleList(nn.BatchNorm2d(8) for _ in self.strides)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        features = [F.relu(self.norm[0](self.stem(images)))]
        for halve, norm in zip(self.halve, self.norm[1:], strict=True):
            features.append(F.relu(norm(halve(features[-1]))))
        return features

    def load_imagenet(self, path: object = None) -> None:
        raise AssertionError("tests train from random weights")


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make "tiny" an encoder like the others, for one test."""
    monkeypatch.setitem(ENCODERS, "tiny", TinyEncoder)
