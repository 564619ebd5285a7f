"""Depthwise convolutions that train fast in bfloat16 on processors.

oneDNN has no fast bfloat16 gradient for 5×5 kernels and for stride 2: measured on an AVX-512-BF16 core, these
take three to six times as long as in float32, and made up half of a training step of EfficientNet-Lite0. So
the forward pass stays in bfloat16 and the gradient is computed in float32.
"""

from typing import Any

import torch
from torch import nn

__all__ = ["depthwise", "is_slow"]


def is_slow(conv: nn.Conv2d, x: torch.Tensor) -> bool:
    """Whether this convolution of `x` is about to be trained in bfloat16 on a processor, the slow way."""
    return (
        conv.groups > 1
        and (conv.kernel_size[0] > 3 or conv.stride[0] > 1)
        and x.device.type == "cpu"
        and torch.is_grad_enabled()
        and torch.is_autocast_enabled("cpu")
        and torch.get_autocast_dtype("cpu") == torch.bfloat16
    )


def depthwise(conv: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    """`conv` of x (N, C, H, W), without bias, forwards in bfloat16 and backwards in float32."""
    return _Depthwise.apply(x, conv.weight, conv.stride, conv.padding)


class _Depthwise(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any, x: torch.Tensor, weight: torch.Tensor, stride: tuple[int, ...], padding: tuple[int, ...]
    ) -> torch.Tensor:
        x = x.bfloat16()
        context.save_for_backward(x, weight)
        context.stride, context.padding = stride, padding
        return nn.functional.conv2d(x, weight.bfloat16(), None, stride, padding, 1, len(weight))

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, weight = context.saved_tensors
        of_x, of_weight, _ = torch.ops.aten.convolution_backward(
            gradient.float(), x.float(), weight, None, context.stride, context.padding, [1, 1], False, [0, 0],
            len(weight), [context.needs_input_grad[0], context.needs_input_grad[1], False],
        )  # fmt: skip
        return of_x.to(x.dtype) if of_x is not None else None, of_weight, None, None
