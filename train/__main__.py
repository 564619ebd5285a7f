"""`python -m train`: train a network on folders of images and masks."""

import sys
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
from train.initial import backbone_weights_for, load_initial
from train.loop import fit
from train.networks import LIGHT_ENCODERS, NETWORKS, OWN_ENCODED, NetworkSpec, create_network
from train.networks.own_encoder import OWN
from train.overrides import Overrides, given
from train.recipe import recipe_for

app = make_app("python -m train", __doc__)


@app.default
def train(
    *,
    net: str,
    data: Annotated[list[str], Parameter(consume_multiple=False, negative="")],
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    encoder: str | None = None,
    backbone_weights: str | None = None,
    random_init: Annotated[bool, Parameter(negative="")] = False,
    init: str | None = None,
    teachers: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    hard_crops: Annotated[Path | None, Parameter(name="--hard-crop-list")] = None,
    stride4: bool | None = None,
    head: str | None = None,
    recipe: str = "ours",
    resume: Annotated[bool, Parameter(negative="")] = False,
    save_minutes: float = 5.0,
    device: str = "cpu",
    precision: str | None = None,
    compile_network: Annotated[bool, Parameter(name="--compile", negative="")] = False,
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
        Its backbone; default: efficientnet-lite0, vgg16 of fcn, or the one that is part of the network, in
        whose place efficientnet-lite0 … 2 and mobilenetv2 fit.
    backbone_weights
        Its ImageNet weights: a path, or imagenet to fetch the published ones where no package installs them;
        default: weights/ENCODER_imagenet beside the first --data, else a package's.
    random_init
        Start the encoder from random weights.
    init
        Begin with all weights of a bundle (a shipped one's name, or a folder) or of a run's best.pt.
    teachers
        Bundles, or best.pt of runs, whose masks are learned beside the true ones; see --distil.
    hard_crops
        Polyp-free crops that python -m train.generalise mine wrote; see --hard-crops.
    stride4
        Fuse the encoder's stride-4 features too; default: with light encoders.
    head
        Of fcn: fc (FCN-8s, the default on vgg16) or conv (1×1 scores, the default elsewhere).
    recipe
        What the options below begin with: ours, or the network's author's as published.
    resume
        Go on with the run in --out, if there is one.
    save_minutes
        Minutes between checkpoints.
    device
        Where to train: cpu, cuda, cuda:1 …
    precision
        float32, bfloat16 or, on CUDA, float16; default: the fastest here, measured.
    compile_network
        Run the network through torch.compile.
    """
    is_light = net in OWN_ENCODED and encoder not in (None, OWN)
    chosen = recipe_for(net, recipe, light=is_light).changed(**given(overrides))
    sources = [parse_source(text) for text in data]
    spec = NetworkSpec(net, encoder, stride4, head)
    fit(
        spec,
        chosen,
        sources,
        out,
        pretrained=False if random_init else backbone_weights_for(spec, sources, backbone_weights),
        init=init,
        teachers=teachers,
        hard_crops=hard_crops,
        resume=resume,
        save_minutes=save_minutes,
        device=device,
        precision=precision,
        compiles=compile_network,
    )


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
