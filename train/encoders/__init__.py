"""Encoders: an image in, features at strides 4, 8, 16 and 32 out.

Every encoder is a module that publishes `out_channels`, `strides`, `mean` and `std` (RGB, in 0–255 units)
and maps `images: (N, 3, H, W) float32`, normalised as `(rgb − mean) / std`, to one feature map a stride.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from train.encoders.efficientnet_lite import VARIANTS, EfficientNetLite
from train.encoders.encoder import Encoder
from train.encoders.mobilenetv2 import MobileNetV2
from train.encoders.res2net50 import Res2Net50
from train.encoders.vgg16 import VGG16

__all__ = ["ENCODERS", "create_encoder"]

ENCODERS: dict[str, Callable[[], Encoder]] = {
    **{name: partial(EfficientNetLite, name) for name in VARIANTS},
    "mobilenetv2": MobileNetV2,
    "res2net50": Res2Net50,
    "vgg16": VGG16,
}


def create_encoder(name: str, pretrained: bool | Path = True, *, stride2: bool = False) -> Encoder:
    """Build an encoder by name, with its ImageNet weights unless told otherwise.

    `pretrained` is True (the weights where the encoder's package installs them), a path to them, or False
    (random). With `stride2` a light encoder publishes its features at that stride too; names and shapes of
    its weights stay. Raises InputError for an unknown name, for weights that are missing or do not fit, and
    for an encoder that has nothing at stride 2.
    """
    if name not in ENCODERS:
        raise InputError(f" {name!r} is unknown; {known_names(name, ENCODERS)}", parameter="encoder")
    encoder = ENCODERS[name]()
    if pretrained is not False:
        encoder.load_imagenet(None if pretrained is True else pretrained)
    if stride2:
        tap_stride2 = getattr(encoder, "tap_stride2", None)
        if tap_stride2 is None:
            raise InputError(
                f" {name!r} publishes nothing at stride 2. Use efficientnet-lite0", parameter="encoder"
            )
        tap_stride2()
    return encoder
