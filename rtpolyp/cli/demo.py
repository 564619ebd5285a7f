"""`rtpolyp demo`: render a phantom clip, outline its polyps, and say how well that went."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from rtpolyp.cli.flags import EngineFlags
from rtpolyp.cli.run import print_summary
from rtpolyp.errors import OutputError
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.inference.isolated.engine import open_guarded
from rtpolyp.measure.metrics import overlap
from rtpolyp.phantom_clip import render_clip
from rtpolyp.pipeline import settings_for
from rtpolyp.run import run_file
from rtpolyp.settings import Style
from rtpolyp.terminal.console import make_console, progress_bar
from rtpolyp.video.outputs import Outputs
from rtpolyp.video.source import open_source

__all__ = ["demo"]


def demo(
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])] = Path("demo"),
    seconds: float = 10.0,
    seed: int = 0,
    engine: EngineFlags = EngineFlags(),  # noqa: B008 # frozen
    style: Style = "outline",
) -> None:
    """Render an endoscope-like phantom clip, outline its polyps, and compare with the known masks.

    No patient's data is involved, and the figures say nothing about clinical accuracy: the clip shows that
    the whole pipeline works on this machine.

    Parameters
    ----------
    output
        Folder for phantom.mp4, phantom.polyps.mp4, phantom.jsonl and masks/.
    seconds
        Length of the clip; the first polyp comes at about 2 s, the second at about 11 s.
    seed
        Another seed is another colon.
    style
        How polyps are drawn.
    """
    console = make_console()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise OutputError(f"{output}: cannot be created ({exc.strerror}); give another folder") from exc
    clip, masks = output / "phantom.mp4", output / "masks"
    console.print(f"rendering {seconds:g} s of phantom", highlight=False)
    truths = render_clip(clip, seconds=seconds, seed=seed)
    with open_source(clip) as source, open_guarded(engine.recipe(optimise_for="throughput")) as network:
        console.print(network.description, highlight=False)
        outputs = Outputs(output / "phantom.polyps.mp4", json=output / "phantom.jsonl", masks=masks)
        settings = settings_for(network.spec, style=style)
        with progress_bar(console, source.name, rate="frames") as progress:
            summary = run_file(source, outputs, model=network, settings=settings, on_progress=progress)
    print_summary(summary, console)
    console.print(_score(truths, masks), highlight=False)


def _score(truths: list[NDArray[np.uint8]], masks: Path) -> str:
    """One line: Dice over frames with a polyp, and how many of the others were outlined."""
    dice, empty, false = [], 0, 0
    for index, packed in enumerate(truths):
        found = read_mask(masks / f"{index:06d}.png")
        truth = np.unpackbits(packed, count=found.size).reshape(found.shape).astype(np.bool_)
        if truth.any():
            dice.append(overlap(found, truth).dice)
        else:
            empty += 1
            false += bool(found.any())
    mean = f"mean Dice {np.mean(dice):.3f} over" if dice else "no Dice, for there are"
    return (
        f"against the phantom's own masks: {mean} {len(dice)} frames with a polyp; "
        f"{false} of {empty} frames without one were outlined"
    )
