"""What a run begins with: ImageNet weights of its encoder, or with `--init` a bundle's or another run's."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

from torch import nn

from rtpolyp.errors import InputError
from rtpolyp.inference.bundle import load_bundle
from train.checkpoint import Checkpoint, load_checkpoint
from train.data import Source
from train.encoders.efficientnet_lite import VARIANTS, deepened
from train.encoders.published import IMAGENET
from train.networks import NetworkSpec

__all__ = ["as_deep_as", "backbone_weights_for", "begin_with", "load_initial"]

NAMED = 4  # keys of each kind that an error lists


def backbone_weights_for(
    spec: NetworkSpec, sources: Sequence[Source], asked: str | None
) -> bool | Path | Literal["imagenet"]:
    """The encoder's weights, as `create_network` takes them: those asked for by path or as "imagenet".

    Without either, `weights/ENCODER_imagenet` beside the first data folder where it exists, else True.
    """
    if asked:
        return "imagenet" if asked == IMAGENET else Path(asked)
    beside_data = sources[0].folder.parent / "weights" / f"{spec.encoder}_imagenet"
    return beside_data if beside_data.exists() else True


def load_initial(text: str) -> Checkpoint:
    """The checkpoint `text` (a `.pt` file), or that of a bundle: a folder, or the name of a shipped one.

    Without its second look: that is fitted to finished weights.

    Raises InputError or EngineError for what is missing or broken.
    """
    path = Path(text)
    file = path if path.suffix == ".pt" else load_bundle(text).model("weights")
    return load_checkpoint(file).without_second_look()


def as_deep_as(deep: Checkpoint, shallow: Checkpoint) -> Checkpoint:
    """`shallow` as the same function on the encoder of `deep`, where both encoders are of one family.

    The blocks that are added hold the weights of `deep` and add nothing. Raises InputError where the encoder
    of `deep` is not the deeper one.
    """
    ours, theirs = deep.spec.encoder, shallow.spec.encoder
    if ours == theirs or not {ours, theirs} <= VARIANTS.keys():
        return shallow
    weights = deepened(shallow.ema, cast(str, theirs), cast(str, ours), deep.ema)
    return replace(shallow, ema=weights, spec=replace(shallow.spec, encoder=ours))


def begin_with(network: nn.Module, spec: NetworkSpec, initial: Checkpoint) -> None:
    """Copy the averaged weights into `network`. Raises InputError where they belong to another network.

    On a deeper encoder of the same family the network begins as the same function; see `deepened`.
    """
    ours, theirs = network.state_dict(), initial.ema
    if spec.encoder != initial.spec.encoder and {spec.encoder, initial.spec.encoder} <= VARIANTS.keys():
        theirs = deepened(theirs, cast(str, initial.spec.encoder), cast(str, spec.encoder), ours)
    problems = {
        "missing": sorted(ours.keys() - theirs.keys()),
        "left over": sorted(theirs.keys() - ours.keys()),
        "of another shape": [n for n in ours if n in theirs and ours[n].shape != theirs[n].shape],
    }
    if any(problems.values()):
        listed = "; ".join(f"{what} {_few(names)}" for what, names in problems.items() if names)
        raise InputError(
            f"--init: weights of {initial.spec.name} on {initial.spec.encoder} do not fit {spec.name} on "
            f"{spec.encoder}: {listed}. Give the same --net, --encoder, --stride4 and --head"
        )
    network.load_state_dict(theirs)


def _few(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" … ({len(names)})" if len(names) > NAMED else "")
