"""What a run begins with: `--init` takes the weights of a bundle or of another run.

Whoever fine-tunes inherits all that the weights have seen. So a run whose validation or test files are among
those is refused: its figures would be worth nothing.
"""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.spec import sha256_of
from train.checkpoint import load_checkpoint
from train.data import Source
from train.networks import NetworkSpec
from train.weights import Weights, load_weights

__all__ = ["begin_with", "check_unseen", "load_initial"]


def load_initial(text: str) -> Weights:
    """The weights of a checkpoint (`.pt`), of a bundle's folder, or of a shipped bundle by its name.

    Of a checkpoint, the averaged ones. Raises InputError or EngineError for what is missing or broken.
    """
    if Path(text).suffix == ".pt":
        if Path(text).name == "weights.pt":
            return load_weights(Path(text))
        checkpoint = load_checkpoint(Path(text))
        return Weights(checkpoint.spec, checkpoint.ema, (*checkpoint.files, *checkpoint.earlier))
    return load_weights(load_bundle(text).model("weights"))


def begin_with(network: nn.Module, spec: NetworkSpec, initial: Weights) -> None:
    """Copy the weights into `network`. Raises InputError where they belong to another network."""
    given = network.state_dict()
    missing, left_over = sorted(given.keys() - initial.state.keys()), sorted(initial.state.keys() - given.keys())
    reshaped = [name for name in given if name in initial.state and given[name].shape != initial.state[name].shape]
    if missing or left_over or reshaped:
        theirs, ours = (f"{one.name} on {one.encoder}" for one in (initial.spec, spec))
        raise InputError(
            f"--init: weights of {theirs} do not fit {ours}: missing {_few(missing)}; left over "
            f"{_few(left_over)}; of another shape {_few(reshaped)}. Give the same --net and --encoder"
        )
    network.load_state_dict(initial.state)


def check_unseen(sources: Sequence[Source], initial: Weights) -> None:
    """Raise InputError when a validation or test file of this run is one that the weights come from."""
    seen = {file.sha256 for file in initial.files}
    for source in sources:
        for part in ("val", "test"):
            if part == "test" and not source.has_part(part):
                continue
            leaked = [pair.image for pair in source.pairs(part) if sha256_of(pair.image) in seen]
            if leaked:
                raise InputError(
                    f"{leaked[0]}: {len(leaked)} {part} images of {source.name} are among those that the --init "
                    "weights were trained on. Choose other splits or other weights"
                )


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (f" … ({len(names)})" if len(names) > 4 else "") if names else "nothing"
