"""The encoder that is part of a network's own design, and so has no weights from elsewhere."""

from torch import nn

__all__ = ["OWN", "OwnEncoder"]

OWN = "own"  # what NetworkSpec.encoder says of these networks


class OwnEncoder(nn.Module):
    """Base of the encoders that only their network can use.

    They publish what every encoder does, `out_channels` and `strides` from the finest stage on, and the
    normalisation. It is ImageNet's, so that networks are compared on the same input, although nothing here
    was trained on ImageNet.
    """

    mean = (123.675, 116.28, 103.53)
    std = (58.395, 57.12, 57.375)
    out_channels: tuple[int, ...]
    strides: tuple[int, ...]
