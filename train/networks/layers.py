"""Blocks that PraNet and its relatives are built of.

Fan et al., "PraNet: Parallel Reverse Attention Network for Polyp Segmentation", MICCAI 2020,
arXiv:2006.11392.
Parameter names inside each block are those of the published code, so that its checkpoints load by prefix.
"""

from typing import cast

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from rtpolyp.errors import InputError

__all__ = [
    "BasicConv2d",
    "PartialDecoder",
    "ReceptiveFieldBlock",
    "bias_of",
    "check_size",
    "resize",
    "resize_like",
]


def check_size(images: torch.Tensor, multiple: int) -> None:
    """Raise InputError unless height and width of `images: (N, 3, H, W)` are multiples of `multiple`.

    Other sizes would come back rounded or fail deep inside a decoder.
    """
    height, width = images.shape[-2:]
    if height % multiple or width % multiple:
        raise InputError(
            f"image size {height}×{width}: both sides must be multiples of {multiple}. Resize first"
        )


def resize(x: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Bilinear resize of (N, C, h, w) to `size` = (H, W), half-pixel centres like every backend."""
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def resize_like(x: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """Bilinear resize of (N, C, h, w) to the height and width of `reference`."""
    return resize(x, reference.shape[-2:])


def bias_of(layer: nn.Module) -> torch.Tensor:
    """The bias of a layer that has one."""
    return cast(torch.Tensor, layer.bias)


class BasicConv2d(nn.Module):
    """Convolution without bias, then batch norm; size kept at stride 1.

    The published block also holds a ReLU that its forward never calls. It has no parameters, so leaving it
    out changes no checkpoint, and calling it would change the network.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int | tuple[int, int], dilation: int = 1):
        super().__init__()
        height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (height // 2 * dilation, width // 2 * dilation)
        self.conv = nn.Conv2d(
            in_channels, out_channels, (height, width), padding=padding, dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H, W)."""
        return self.bn(self.conv(x))


class ReceptiveFieldBlock(nn.Module):
    """Four parallel branches of growing receptive field, concatenated, plus a projected shortcut.

    Liu et al., "Receptive Field Block Net", ECCV 2018 (arXiv:1711.07767), as PraNet modifies it.
    """

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__()

        def branch(reach: int) -> nn.Sequential:
            return nn.Sequential(
                BasicConv2d(in_channels, out_channels, 1),
                BasicConv2d(out_channels, out_channels, (1, reach)),
                BasicConv2d(out_channels, out_channels, (reach, 1)),
                BasicConv2d(out_channels, out_channels, 3, dilation=reach),
            )

        self.branch0 = nn.Sequential(BasicConv2d(in_channels, out_channels, 1))
        self.branch1 = branch(3)
        self.branch2 = branch(5)
        self.branch3 = branch(7)
        self.conv_cat = BasicConv2d(4 * out_channels, out_channels, 3)
        self.conv_res = BasicConv2d(in_channels, out_channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(N, in, H, W) → (N, out, H, W)."""
        branches = torch.cat([self.branch0(x), self.branch1(x), self.branch2(x), self.branch3(x)], dim=1)
        return F.relu(self.conv_cat(branches) + self.conv_res(x))


class PartialDecoder(nn.Module):
    """The parallel partial decoder: three deep stages to one coarse logit map, S_g, at the finest of them."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_upsample1 = BasicConv2d(channels, channels, 3)
        self.conv_upsample2 = BasicConv2d(channels, channels, 3)
        self.conv_upsample3 = BasicConv2d(channels, channels, 3)
        self.conv_upsample4 = BasicConv2d(channels, channels, 3)
        self.conv_upsample5 = BasicConv2d(2 * channels, 2 * channels, 3)
        self.conv_concat2 = BasicConv2d(2 * channels, 2 * channels, 3)
        self.conv_concat3: nn.Module = BasicConv2d(3 * channels, 3 * channels, 3)
        self.conv4: nn.Module = BasicConv2d(3 * channels, 3 * channels, 3)
        self.conv5: nn.Module = nn.Conv2d(3 * channels, 1, 1)

    def forward(self, r3: torch.Tensor, r4: torch.Tensor, r5: torch.Tensor) -> torch.Tensor:
        """(N, C, H, W), (N, C, H/2, W/2), (N, C, H/4, W/4), fine to coarse → logits (N, 1, H, W)."""
        r5_at_4 = resize_like(r5, r4)
        product4 = self.conv_upsample1(r5_at_4) * r4
        r5_at_3, r4_at_3 = resize_like(r5_at_4, r3), resize_like(r4, r3)
        product3 = self.conv_upsample2(r5_at_3) * self.conv_upsample3(r4_at_3) * r3
        joined4 = self.conv_concat2(torch.cat([product4, self.conv_upsample4(r5_at_4)], dim=1))
        joined4_at_3 = self.conv_upsample5(resize_like(joined4, r3))
        joined3 = self.conv_concat3(torch.cat([product3, joined4_at_3], dim=1))
        return self.conv5(self.conv4(joined3))

    def fold(self) -> None:
        """Replace the last three convolutions by two, for export; exact up to rounding, cannot be trained.

        Nothing non-linear stands between them. The last two make one 3×3 to the logit; each of its nine taps
        folds into `conv_concat3`, which then gives nine maps, and a fixed convolution shifts and adds these.
        One 5×5 would be wrong at the border, where `conv4` sees zeros and not what a bias makes of them.
        """
        concat, last = cast(BasicConv2d, self.conv_concat3), cast(BasicConv2d, self.conv4)
        inner = fuse_conv_bn_eval(concat.conv, concat.bn)
        outer = fuse_conv_bn_eval(last.conv, last.bn)
        classify = cast(nn.Conv2d, self.conv5)
        to_logit = classify.weight[0, :, 0, 0]
        to_taps = torch.einsum("o,oikl->kli", to_logit, outer.weight).flatten(0, 1)  # (9, channels)
        taps = nn.Conv2d(inner.in_channels, len(to_taps), 3, padding=1)
        shifts = nn.Conv2d(len(to_taps), 1, 3, padding=1)
        with torch.no_grad():
            taps.weight.copy_(torch.einsum("to,oihw->tihw", to_taps, inner.weight))
            bias_of(taps).copy_(to_taps @ bias_of(inner))
            shifts.weight.copy_(torch.eye(len(to_taps)).view_as(shifts.weight))
            bias_of(shifts).copy_(to_logit @ bias_of(outer) + bias_of(classify))
        self.conv_concat3, self.conv4, self.conv5 = taps, shifts, nn.Identity()
