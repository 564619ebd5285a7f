"""`python -m train`: train a network on folders of images and masks."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from rtpolyp.terminal.command_line import make_app
from train.checkpoint import load_network
from train.command_line import run_command_line
from train.complexity import giga_macs, parameter_count
from train.data import parse_source
from train.encoders import ENCODERS
from train.explain import explain, load_images
from train.flags import EncoderFlags, MachineFlags
from train.initial import backbone_weights_for, load_initial
from train.loop import Options, fit
from train.networks import LIGHT_ENCODERS, NETWORKS, OWN_ENCODED, NetworkSpec, create_network
from train.networks.own_encoder import OWN
from train.overrides import Overrides, given
from train.recipe import RecipeChoice

app = make_app("python -m train", __doc__)


Teachers = Parameter(consume_multiple=True, negative="", show_default=False)


@Parameter(name="*")
@dataclass(frozen=True)
class NetworkFlags:
    """Which network."""

    net: str
    """Network, see --list."""
    encoder: str | None = None
    """Its backbone; default: efficientnet-lite0, vgg16 of fcn, or the one that is part of the network, in
    whose place efficientnet-lite0 … 2 and mobilenetv2 fit."""
    stride4: bool | None = None
    """Fuse the encoder's stride-4 features too; default: with light encoders."""
    head: str | None = None
    """Of fcn: fc (FCN-8s, the default on vgg16) or conv (1×1 scores, the default elsewhere)."""


@Parameter(name="*")
@dataclass(frozen=True)
class LessonFlags:
    """What it learns from beside its data."""

    teachers: Annotated[
        tuple[str, ...], Parameter(consume_multiple=True, negative="", show_default=False)
    ] = ()
    """Bundles, or best.pt of runs, whose masks are learned beside the true ones; see --distil."""
    hard_crops: Annotated[Path | None, Parameter(name="--hard-crop-list")] = None
    """Polyp-free crops that python -m train.generalise mine wrote; see --hard-crops."""


@app.default
def train(
    *,
    network: NetworkFlags,
    data: Annotated[list[str], Parameter(consume_multiple=False, negative="")],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    init: str | None = None,
    encoder_weights: EncoderFlags = EncoderFlags(),  # noqa: B008 – frozen
    lessons: LessonFlags = LessonFlags(),
    recipe: str = "ours",
    resume: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    machine: MachineFlags = MachineFlags(),  # noqa: B008
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008
) -> None:
    """Train a network; what it saves loads with `train.checkpoint.load_checkpoint`.

    Parameters
    ----------
    data
        DIR[:SPLIT], repeatable: a folder with images/ and masks/, and the stem of its split files.
    out
        Run folder: last.pt, best.pt, train.csv, val.csv, TensorBoard events.
    init
        Begin with all weights of a bundle (a shipped one's name, or a folder) or of a run's best.pt.
    recipe
        What the options below begin with: ours, or the network's author's as published.
    resume
        Go on with the run in --out, if there is one.
    """
    is_light = network.net in OWN_ENCODED and network.encoder not in (None, OWN)
    chosen = RecipeChoice(recipe, given(overrides)).of(network.net, light=is_light)
    sources = [parse_source(text) for text in data]
    spec = NetworkSpec(network.net, network.encoder, network.stride4, network.head)
    weights = encoder_weights.backbone_weights
    options = Options(
        pretrained=False if encoder_weights.random_init else backbone_weights_for(spec, sources, weights),
        init=init,
        teachers=lessons.teachers,
        hard_crops=lessons.hard_crops,
        resume=resume,
        **vars(machine.machine()),
    )
    fit(spec, chosen, sources, out, options)


@app.command(name="--list")
def list_networks() -> None:
    """Print networks and encoders with parameters and multiply-accumulates of one image."""
    table = Table("network", "encoder")
    for heading in ("parameters", "GMAC @352", "GMAC @256"):
        table.add_column(heading, justify="right")
    for name in NETWORKS:
        for encoder in [OWN, *LIGHT_ENCODERS] if name in OWN_ENCODED else ENCODERS:
            with torch.device("meta"):  # shapes are enough to count
                network = create_network(NetworkSpec(name, encoder), pretrained=False)
                macs = [f"{giga_macs(network, side):.2f}" for side in (352, 256)]
            table.add_row(name, encoder, f"{parameter_count(network):,}", *macs)
    Console().print(table)


@app.command(name="--explain")
def explain_fusion(
    weights: str,
    /,
    *,
    data: Annotated[list[str] | None, Parameter(consume_multiple=False, negative="")] = None,
) -> None:
    """Print how much each stage weighs in the logits of a network with fusion; see train/explain.py.

    Parameters
    ----------
    weights
        best.pt of a run, or a bundle: a shipped one's name, or a folder.
    data
        DIR[:SPLIT], repeatable: show, too, what each stage adds on the images of the val part.
    """
    trained = load_initial(weights)
    images = load_images([parse_source(text) for text in data or ()], trained)
    found = explain(load_network(trained), images)
    table = Table("stride")
    for heading in ("channels", "weight norm", "share", "mean |logits added|"):
        table.add_column(heading, justify="right")
    for stage in found.stages:
        figures = str(stage.stride), str(stage.channels), f"{stage.norm:.3f}", f"{stage.share:.1%}"
        table.add_row(*figures, _logits(stage.added))
    table.add_row("beside the fusion", "", "", "", _logits(found.beside))
    Console().print(table)


def _logits(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def main() -> None:
    """Run the command; exit with 0, with 2 after a one-line error, with 130 after Ctrl-C or SIGTERM."""
    sys.exit(run_command_line(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
