"""A second look from beginning to end: fitted, its operating point chosen, both put into the checkpoint."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from rtpolyp.errors import InputError
from train.checkpoint import SECOND_LOOK, Checkpoint, load_network
from train.data import Source
from train.host_memory import keep_freed_memory
from train.leaks import check_groups, check_unseen
from train.networks.ensemble import Ensemble
from train.networks.second_look import LooksTwice
from train.second_look.fit import EVERY, Fit, Outlines, fit, joined, outlines_of
from train.second_look.point import LeftOut, choose
from train.second_look.views import held_out_of, unseen_of, views_of

__all__ = ["Looked", "look_twice"]


@dataclass(frozen=True)
class Looked:
    """A checkpoint with a second look, and what it comes from."""

    checkpoint: Checkpoint
    outlines: Outlines
    fitted: Fit
    left_out: LeftOut


def look_twice(
    base: Checkpoint, sources: Sequence[Source], size: int, whose: str, first: Checkpoint | None = None
) -> Looked:
    """Fit a second look to what `base` outlines on frames of side `size` that are new to it.

    `first` is an ensemble's first member, `whose` the checkpoint's name in messages. Raises InputError for a
    network that has no second look, for val or test frames that it was trained on, and where the val parts
    show too little.
    """
    keep_freed_memory()  # for the next batch
    network = load_network(base)
    if not isinstance(network, LooksTwice):
        raise InputError(f"{whose}: {base.spec.name} has no second look. Give a checkpoint of pranet-if")
    check_unseen(sources, base.seen, whose)
    check_groups(sources)
    frames, folds = held_out_of(base, sources, size)
    unseen = unseen_of(first or base, sources, size)
    # on frames new to the first member, what it outlines by itself: the other may know them
    alone = network.first if isinstance(network, Ensemble) else network
    parts = (network, frames, folds), (alone, unseen, np.full(len(unseen), EVERY))
    outlines = joined(
        [outlines_of(who, base, view, fold) for who, part, fold in parts for view in views_of(part)]
    )
    fitted = fit(outlines)
    look = network.add_second_look().eval()
    left_out = choose(network, base, frames, folds, fitted.left_out)
    look.put(fitted.whole.first, fitted.whole.last)
    told = {"sources": list(frames.sources), "size": size}
    told |= {"point": asdict(left_out.point), "outcomes": left_out.outcomes}
    looked = replace(
        base,
        ema=base.ema | {SECOND_LOOK + name: weight for name, weight in look.state_dict().items()},
        looked_at=(*frames.files, *unseen.files),
        data=frames.places,
        second_look=told,
        model=None,
        optimiser=None,
        scaler=None,
    )
    return Looked(looked, outlines, fitted, left_out)
