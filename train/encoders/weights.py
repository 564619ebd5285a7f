"""Loading foreign weights without silence: every key that does not fit is named."""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from rtpolyp.errors import InputError

__all__ = ["load_named_state", "load_published", "read_state"]


def read_state(path: Path) -> dict[str, torch.Tensor]:
    """Read a .pth file of weights onto the CPU. Raises InputError unless it is one."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as exc:
        raise InputError(f"{path}: not a PyTorch weights file. Download or install it again") from exc
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise InputError(f"{path}: holds something else than weights by name. Give a .pth of the encoder")
    return state


def load_named_state(
    module: nn.Module, state: Mapping[str, torch.Tensor], source: str | Path, ignored: tuple[str, ...] = ()
) -> None:
    """Copy `state` into `module`; keys that start with one of `ignored` may stay unused.

    Raises InputError that names every missing, unexpected and misshapen key.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in state if key not in own and not key.startswith(ignored or ("\0",))]
    misshapen = [
        f"{key} {tuple(state[key].shape)} for {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    problems = {"missing": missing, "unexpected": unexpected, "other shape": misshapen}
    found = "; ".join(f"{what}: {', '.join(keys)}" for what, keys in problems.items() if keys)
    if found:
        raise InputError(f"{source}: does not fit {type(module).__name__}: {found}. Give matching weights")
    module.load_state_dict({key: state[key] for key in own if key in state}, strict=False)


def load_published(module: nn.Module, path: Path | None, name: str, ignored: tuple[str, ...]) -> None:
    """Load the published .pth of encoder `name`, which no package installs.

    Raises InputError where the file is not given, not there, or a key does not fit.
    """
    if path is None:
        raise InputError(
            f"{name}: no package installs its ImageNet weights. "
            "Give --backbone-weights PATH, or imagenet to fetch them, or --random-init"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such weights file. Give a .pth of {name}")
    load_named_state(module, read_state(path), path, ignored)
