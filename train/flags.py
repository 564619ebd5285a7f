"""The flags that commands of training share, in groups."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from train.experiment.training import Machine

__all__ = ["EncoderFlags", "MachineFlags"]


@Parameter(name="*")
@dataclass(frozen=True)
class EncoderFlags:
    """What the encoder's weights begin with."""

    backbone_weights: str | None = None
    """The encoder's ImageNet weights: a path, or imagenet to fetch the published ones where no package
    installs them; default: weights/ENCODER_imagenet beside the data, else a package's."""
    random_init: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Start the encoder from random weights."""


@Parameter(name="*")
@dataclass(frozen=True)
class MachineFlags:
    """Where and how networks are trained."""

    device: str = "cpu"
    """Where to train: cpu, cuda, cuda:1 …"""
    precision: str | None = None
    """float32, bfloat16 or, on CUDA, float16; default: the fastest here, measured once."""
    compile_network: Annotated[bool, Parameter(name="--compile", negative="", show_default=False)] = False
    """Run the networks through torch.compile."""
    save_minutes: float = 5.0
    """Minutes between checkpoints."""

    def machine(self) -> Machine:
        """As cells and runs take it."""
        return Machine(self.device, self.precision, self.compile_network, self.save_minutes)
