"""`python -m train.second_look`: teach a trained network to tell which of its outlines are polyps.

The network stays as it is. A logistic regression on the means of its features over each outline is fitted to
whether the outline meets a polyp; being linear, it is a 1×1 convolution of each feature map, see
`train.networks.second_look`. The outlines are those on validation frames: on what it was trained on, a
network finds polyps that it remembers, and what tells these from mistakes does not hold elsewhere. The
operating point is chosen here too, on the same frames, each judged by a second look that was fitted to other
groups; `python -m train.export` keeps it.
"""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app
from train.checkpoint import SECOND_LOOK, load_network, save_checkpoint
from train.command_line import run_command_line
from train.data import load_frames, parse_source
from train.initial import load_initial
from train.leaks import check_unseen
from train.networks.pranet import PraNetIF
from train.second_look.fit import Fit, Outlines, fit, folds_of, joined, mirrored, outlines_of
from train.second_look.point import LeftOut, choose, recorded

KEPT = 0.95  # of the polyps' outlines, in the printed figures

app = make_app("python -m train.second_look", __doc__)


@app.default
def main(
    checkpoint: str,
    /,
    *,
    data: Annotated[list[str], Parameter(consume_multiple=False)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    size: int = 288,
) -> None:
    """Fit a second look to a checkpoint's outlines on validation frames; its other weights stay.

    Parameters
    ----------
    checkpoint
        best.pt of a run of pranet-if, or a bundle: a folder, or the name of a shipped one.
    data
        DIR[:SPLIT], repeatable: data sets to whose val parts it is fitted. They count as training frames from
        then on.
    out
        Checkpoint to write, which `python -m train.export` takes.
    size
        Side of the frames in pixels, a multiple of 32: the bundle's.
    """
    base = load_initial(checkpoint)
    network = load_network(base)
    if not isinstance(network, PraNetIF):
        raise InputError(f"{checkpoint}: {base.spec.name} has no second look. Give a checkpoint of pranet-if")
    sources = [parse_source(text) for text in data]
    check_unseen(sources, base.seen, checkpoint)
    frames = load_frames(sources, "val", size, picture_crop=base.recipe.picture_crop)
    folds = folds_of([f"{source.name} {pair.group}" for source in sources for pair in source.pairs("val")])
    views = frames, mirrored(recorded(frames))
    outlines = joined([outlines_of(network, base, view, folds) for view in views])
    fitted = fit(outlines)
    print(_described(outlines, fitted), flush=True)
    look = network.add_second_look().eval()
    left_out = choose(network, base, frames, folds, fitted.left_out)
    print(_chosen(left_out))
    look.put(fitted.whole.weight, fitted.whole.bias)
    save_checkpoint(
        out,
        replace(
            base,
            ema=base.ema | {SECOND_LOOK + name: weight for name, weight in look.state_dict().items()},
            earlier=tuple(dict.fromkeys((*base.earlier, *frames.files))),
            second_look={
                "sources": list(frames.sources),
                "size": size,
                "point": asdict(left_out.point),
                "outcomes": left_out.outcomes,
            },
            model=None,
            optimiser=None,
            scaler=None,
        ),
    )


def _described(outlines: Outlines, fitted: Fit) -> str:
    """How many outlines of no polyp stay where KEPT of the polyps' do, without and with the second look."""
    is_polyp = outlines.is_polyp
    left = []
    for confidence in (outlines.confidence, (outlines.confidence - 0.5) * fitted.presence):
        least = np.quantile(confidence[is_polyp], 1 - KEPT)
        left.append(float(np.mean(confidence[~is_polyp] >= least)))
    return (
        f"{len(is_polyp)} outlines on validation frames and on their mirrored recordings, {is_polyp.sum()} "
        f"of polyps. Where {KEPT:.0%} of these stay, so do {left[0]:.1%} of the others by their mean "
        f"probability, and {left[1]:.1%} with a second look that was fitted to other groups"
    )


def _chosen(left_out: LeftOut) -> str:
    point, stills = left_out.point, left_out.outcomes["stills"]["operating"]
    return (
        f"Operating point: threshold {point.threshold}, area {point.minimum_area}, confidence "
        f"{point.minimum_confidence}. By second looks that were fitted to other groups, "
        f"{stills['sensitivity']:.1%} of polyps found, {stills['false_outlines']:.1%} of polyp-free frames "
        "outlined"
    )


if __name__ == "__main__":
    sys.exit(run_command_line(app, sys.argv[1:]))
