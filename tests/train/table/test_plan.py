from pathlib import Path

import pytest
import torch

from train.complexity import parameter_count
from train.data import Source
from train.experiment.start import Start
from train.networks import create_network
from train.recipe import RecipeChoice, recipe_for
from train.table.paper import ROWS
from train.table.plan import arms_of, plan

KVASIR, CVC = ((Source(Path("/data") / name, "split"),) for name in ("kvasir-seg", "cvc-612"))


def names(*rows: str, seeds: int = 2, **overrides: object) -> list[str]:
    cells = plan(
        "paper", rows, "efficientnet-lite0", [KVASIR, CVC], seeds, Start(), RecipeChoice("ours", overrides)
    )
    return [cell.name for cell in cells]


def test_pairs_are_complete_early():
    assert names("pranet", "fcn")[:10] == [
        "kvasir-seg.split/pranet.efficientnet-lite0.ImageNet/seed0",
        "kvasir-seg.split/pranet-if.efficientnet-lite0.ImageNet/seed0",
        "kvasir-seg.split/fcn.efficientnet-lite0.ImageNet/seed0",
        "kvasir-seg.split/fcn-if.efficientnet-lite0.ImageNet/seed0",
        "kvasir-seg.split/pranet.efficientnet-lite0.ImageNet/seed1",
        "kvasir-seg.split/pranet-if.efficientnet-lite0.ImageNet/seed1",
        "kvasir-seg.split/fcn.efficientnet-lite0.ImageNet/seed1",
        "kvasir-seg.split/fcn-if.efficientnet-lite0.ImageNet/seed1",
        "cvc-612.split/pranet.efficientnet-lite0.ImageNet/seed0",
        "cvc-612.split/pranet-if.efficientnet-lite0.ImageNet/seed0",
    ]


def test_seeds_count_from_the_recipes():
    assert [name[-5:] for name in names("unet", seed=7)[:4]] == ["seed7", "seed7", "seed8", "seed8"]


def test_the_papers_encoders_differ_by_row():
    encoders = [arms_of(row, "paper")["IF"].encoder for row in ROWS]
    assert encoders == ["vgg16", "own", "own", "own", "res2net50"] == [row.encoder for row in ROWS.values()]


def test_a_light_encoder_takes_the_place_of_a_networks_own_and_begins_with_imagenet():
    assert names("unetpp")[0] == "kvasir-seg.split/unetpp.efficientnet-lite0.ImageNet/seed0"
    ours, own = (
        next(plan("paper", ["unetpp"], encoder, [KVASIR], 1, Start(), RecipeChoice()))
        for encoder in ("efficientnet-lite0", "paper")
    )
    assert ours.recipe == recipe_for("pranet")  # a pretrained encoder learns slower than the decoder
    assert own.recipe == recipe_for("unetpp")
    assert own.name == "kvasir-seg.split/unetpp.own.random/seed0"


@pytest.mark.parametrize("row", ROWS)
def test_both_arms_share_recipe_and_trunk(row):
    plain, fused = plan("paper", [row], "efficientnet-lite0", [KVASIR], 1, Start(), RecipeChoice("author"))
    assert plain.recipe == fused.recipe
    assert plain.spec.encoder == fused.spec.encoder
    with torch.device("meta"):
        trunks = [
            dict(create_network(cell.spec, pretrained=False).named_parameters()) for cell in (plain, fused)
        ]
    first, second = ({k: p.shape for k, p in trunk.items() if k.startswith("encoder.")} for trunk in trunks)
    assert first == second


def test_arms_differ_by_the_fusion_alone():
    """By their parameters: a sum of four scores against a fusion, PraNet's without stride 4."""
    with torch.device("meta"):
        networks = {
            arm: create_network(spec, pretrained=False) for arm, spec in arms_of("fcn", "vgg16").items()
        }
        pranet = create_network(arms_of("pranet", "res2net50")["IF"], pretrained=False)
    assert {arm: parameter_count(network) for arm, network in networks.items()} == {
        "plain": 14_716_100,
        "IF": 25_810_113,
    }
    assert parameter_count(pranet) == 24_867_530


def test_the_start_finds_weights_beside_the_data(tmp_path):
    folder = tmp_path / "kvasir-seg"
    source = (Source(folder, "split"),)
    plain, own = (arms_of(row, None)["plain"] for row in ("pranet", "unet"))
    assert Start().pretrained(plain, source) is True
    (tmp_path / "weights" / "efficientnet-lite0_imagenet").mkdir(parents=True)
    assert Start().pretrained(plain, source) == tmp_path / "weights" / "efficientnet-lite0_imagenet"
    assert Start(backbone_weights="imagenet").pretrained(plain, source) == "imagenet"
    assert Start(backbone_weights="/w.pth").pretrained(plain, source) == Path("/w.pth")
    assert Start(random=True).pretrained(plain, source) is False
    assert Start(backbone_weights="/w.pth").pretrained(own, source) is False


@pytest.mark.parametrize(
    ("start", "row", "name"),
    [
        (Start(), "pranet", "ImageNet"),
        (Start(), "unet", "random"),
        (Start(random=True), "pranet", "random"),
        (Start(init=Path("runs")), "unet", "extra"),
    ],
)
def test_the_start_has_a_name(start, row, name):
    assert start.name(arms_of(row, None)["IF"]) == name
