"""`python -m train.second_look`: teach a trained network to tell which of its outlines are polyps.

The network stays as it is. A small one, see `train.networks.second_look`, is fitted to whether what the first
outlines is a polyp, on frames that it has not been trained on: on those, a network finds polyps that it
remembers, and what tells these from mistakes does not hold elsewhere. So the polyps are those of validation
frames. Frames without a polyp come from the train parts too, where the network has never seen them: it makes
its mistakes on them as anywhere, and they are many. The operating point is chosen here as well, on the
validation frames, each judged by a second look that was fitted to other groups; `python -m train.export`
keeps it.
"""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app
from train.checkpoint import save_checkpoint
from train.command_line import run_program
from train.data import check_size, parse_source
from train.initial import load_initial
from train.second_look.beside import joined
from train.second_look.fit import EVERY, Fit, Outlines
from train.second_look.look import look_twice
from train.second_look.point import LeftOut

KEPT = 0.95  # of the polyps' outlines, in the printed figures

app = make_app("python -m train.second_look", __doc__)


@app.default
def main(
    checkpoint: str,
    /,
    *,
    data: Annotated[list[str], Parameter(consume_multiple=False)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    size: int | None = None,
    beside: str | None = None,
) -> None:
    """Fit a second look to a checkpoint's outlines on frames new to it; its other weights stay.

    Parameters
    ----------
    checkpoint
        best.pt of a run of pranet-if, or a bundle: a folder, or the name of a shipped one.
    data
        DIR[:SPLIT], repeatable: data sets to whose val parts it is fitted, and, where SPLIT ends in
        "negatives", to what the checkpoint has not seen of the train part. They count as training frames from
        then on.
    out
        Checkpoint to write, which `python -m train.export` takes.
    size
        Side of the frames in pixels, a multiple of 32: the bundle's. By default the last one of the training,
        as at the export.
    beside
        Another checkpoint of pranet-if, of another encoder: what is written is the ensemble of both, whose
        second look reads the features of the first.
    """
    if size is not None:
        check_size(size)
    if beside == checkpoint:
        raise InputError(f"--beside {beside}: is the first checkpoint itself. Give another one")
    first = load_initial(checkpoint)
    base = joined({checkpoint: first, beside: load_initial(beside)}) if beside else first
    side = base.recipe.final_size if size is None else size
    looked = look_twice(base, [parse_source(text) for text in data], side, checkpoint, first)
    print(_described(looked.outlines, looked.fitted))
    print(_chosen(looked.left_out))
    save_checkpoint(out, looked.checkpoint)


def _described(outlines: Outlines, fitted: Fit) -> str:
    """How many outlines of no polyp stay where KEPT of the polyps' do, without and with the second look."""
    judged = outlines.fold != EVERY
    is_polyp, confidence = outlines.is_polyp[judged], outlines.confidence[judged]
    left = []
    for sure in (confidence, (confidence - 0.5) * fitted.presence[judged]):
        least = np.quantile(sure[is_polyp], 1 - KEPT)
        left.append(float(np.mean(sure[~is_polyp] >= least)))
    return (
        f"{len(is_polyp)} outlines on six views of the validation frames, {is_polyp.sum()} of polyps, and "
        f"{np.count_nonzero(~judged)} on train frames without a polyp that are new to the network. Where "
        f"{KEPT:.0%} of the polyps' stay, so do {left[0]:.1%} of the others by their mean probability, and "
        f"{left[1]:.1%} with a second look that was fitted to other groups"
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
    run_program(app)
