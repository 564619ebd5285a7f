"""An engine around a PyTorch network: a checkpoint is scored by the same code as a bundle."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from rtpolyp.inference.local_engine import SlotEngine
from rtpolyp.spec import EngineSpec
from train.checkpoint import Checkpoint, load_network
from train.export.parity import reference

__all__ = ["TorchEngine", "engine_of"]


class TorchEngine(SlotEngine):
    """Runs `network` in float32 where it lies, one frame at a time and nothing folded."""

    def __init__(self, network: nn.Module, spec: EngineSpec):
        self._network = network
        device = next(network.parameters()).device
        inputs = [np.zeros((1, spec.height, spec.width, 3), np.uint8)]
        super().__init__(spec, f"{spec.name} in PyTorch {torch.__version__} on {device}", inputs)

    def _infer(self, slot: int, count: int) -> NDArray[np.uint8]:
        return reference(self._network, self._inputs[slot][:count])


def engine_of(checkpoint: Checkpoint, device: str) -> TorchEngine:
    """The checkpoint's averaged weights at their training size, with threshold 0.5 and nothing dropped."""
    side = checkpoint.recipe.final_size
    spec = EngineSpec(
        checkpoint.spec.name, checkpoint.spec.name, checkpoint.spec.encoder or "", side, side,
        threshold=0.5, minimum_area=0.0, minimum_confidence=0.0,
        trained_on=tuple(file.sha256[:16] for file in checkpoint.seen),
    )  # fmt: skip
    return TorchEngine(load_network(checkpoint).to(device), spec)
