"""`python -m train`: train a network on folders of images and masks."""

import logging
import sys
from dataclasses import fields, make_dataclass, replace
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from rtpolyp.errors import RtpolypError
from train.data import parse_source
from train.loop import fit
from train.networks import NetworkSpec
from train.recipe import Recipe, recipe_for

app = App(name="python -m train", help=__doc__, version_flags=())

# every field of Recipe as an optional flag; what is not given keeps the network's own value
Overrides = make_dataclass(
    "Overrides",
    [
        (
            field.name,
            Annotated[
                field.type | None,
                Parameter(help=field.metadata["help"], consume_multiple=True, negative=""),
            ],
            None,
        )
        for field in fields(Recipe)
    ],
    frozen=True,
    namespace={"__module__": __name__},  # or cyclopts takes it for a built-in type
)


@app.default
def train(
    *,
    net: str,
    data: Annotated[list[str], Parameter(consume_multiple=False)],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    encoder: str = "efficientnet-lite0",
    encoder_weights: Path | None = None,
    random_init: Annotated[bool, Parameter(negative="")] = False,
    stride4: bool | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    save_minutes: float = 5.0,
    device: str = "cpu",
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008 – frozen
) -> None:
    """Train a network; what it saves loads with `train.checkpoint.load_checkpoint`.

    Parameters
    ----------
    net
        Network, see --list.
    data
        DIR[:SPLIT], repeatable: a folder with images/ and masks/, and the stem of its split files.
    out
        Run folder: last.pt, best.pt, train.csv, val.csv, TensorBoard events.
    encoder
        Its backbone.
    encoder_weights
        ImageNet weights of the encoder, where no package installs them.
    random_init
        Start the encoder from random weights.
    stride4
        Fuse the encoder's stride-4 features too; default: with light encoders.
    resume
        Go on with the run in --out, if there is one.
    save_minutes
        Minutes between checkpoints.
    device
        Where to train: cpu, cuda, cuda:1 …
    """
    given = {name: value for name, value in vars(overrides).items() if value is not None}
    recipe = replace(recipe_for(net), **given)
    pretrained = False if random_init else encoder_weights or True
    fit(
        NetworkSpec(net, encoder, stride4),
        recipe,
        [parse_source(text) for text in data],
        out,
        pretrained=pretrained,
        resume=resume,
        save_minutes=save_minutes,
        device=device,
    )


def main() -> None:
    """Run the command; a user's error is one line and exit code 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        app()
    except RtpolypError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
