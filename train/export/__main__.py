"""`python -m train.export`: a checkpoint becomes a bundle that the runtime can open.

Everything is written into a folder beside the target, and takes its place when PyTorch, ONNX Runtime and
OpenVINO agree and no precision costs more than it may. A failure leaves an earlier bundle as it was.
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program
from train.data import parse_source
from train.export.bundle import Choices, export_bundle, sources_of

app = make_app("python -m train.export", __doc__)


@app.default
def main(
    *,
    checkpoint: Path,
    name: str,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    data: Annotated[list[str] | None, Parameter(consume_multiple=False, negative="")] = None,
    size: int | None = None,
    seed: int = 0,
    untrained: Annotated[bool, Parameter(negative="")] = False,
    weights: bool = True,
) -> None:
    """Export a checkpoint as a bundle.

    Parameters
    ----------
    checkpoint
        best.pt of a run.
    name
        The bundle's name.
    data
        DIR[:SPLIT], repeatable: the data sets that it was trained on; by default where they lay then.
    out
        The bundle's folder; an earlier bundle there is replaced.
    size
        Side of the network's input in pixels, a multiple of 32; by default the last that it was trained at.
    seed
        Chooses calibration frames and polyp-free crops.
    untrained
        Export a network that finds next to nothing, too: for measuring speed.
    weights
        Keep the weights as PyTorch's, too: further training and plans of other sizes begin with them.
    """
    sources = [parse_source(text) for text in data or sources_of(checkpoint)]
    choices = Choices(size, seed, untrained, weights)
    spec = export_bundle(checkpoint, out, name=name, sources=sources, choices=choices)
    point = f"threshold {spec.threshold}, area {spec.minimum_area}, confidence {spec.minimum_confidence}"
    print(f"{out}: {point}; figures in {out / 'MODEL_CARD.md'}")


if __name__ == "__main__":
    run_program(app)
