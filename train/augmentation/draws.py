"""A batch's random draws: made on the CPU, each part's from a stream of its own, and uploaded."""

import zlib

import numpy as np
import torch

__all__ = ["stream", "uploaded"]


def stream(generator: torch.Generator, name: str) -> torch.Generator:
    """A generator that depends on the seed of `generator` and on `name` alone, and takes nothing from it.

    What draws from a stream of its own can be switched on and leaves everything else of the batch as it was:
    two recipes that differ by it are compared on the same frames, crops and colours.
    """
    seed = np.random.SeedSequence((generator.initial_seed(), zlib.crc32(name.encode()))).generate_state(1)[0]
    return torch.Generator().manual_seed(int(seed))


def uploaded(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """`values` from the CPU on `device`: by way of pinned memory, or the host would wait for the GPU."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)
