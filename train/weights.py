"""The weights that a bundle carries for fine-tuning: a checkpoint in half the bytes, unfolded."""

from dataclasses import replace
from pathlib import Path

from train.checkpoint import Checkpoint, save_checkpoint

__all__ = ["save_weights"]


def save_weights(checkpoint: Checkpoint, path: Path) -> None:
    """Write the averaged weights: convolutions as FP16; norms, whose variances exceed its range, as FP32.

    A training file is named once, though several trainings may have seen it: names are a tenth of the bytes.
    `train.checkpoint.load_checkpoint` reads the file. Raises OutputError where it cannot be written.
    """
    halved = {
        name: tensor.half() if tensor.is_floating_point() and tensor.ndim > 1 else tensor
        for name, tensor in checkpoint.ema.items()
    }
    own = set(checkpoint.files)
    earlier = tuple(file for file in dict.fromkeys(checkpoint.earlier) if file not in own)
    save_checkpoint(
        path,
        replace(checkpoint, ema=halved, earlier=earlier, data=(), model=None, optimiser=None, scaler=None),
    )
