import pytest
import torch

from train.experiment.initialisation import draw_by_name
from train.networks import create_network
from train.table.design import ABLATED, ENCODER
from train.table.paper import ROWS
from train.table.plan import ablations_of, arms_of

SPECS = {row: arms_of(row, ENCODER) | (ablations_of(row, ENCODER) if row in ABLATED else {}) for row in ROWS}


def weights_of(spec, seed: int = 0, before: int = 0) -> dict[str, torch.Tensor]:
    """What a cell begins with, its encoder's random weights in place of ImageNet's."""
    torch.manual_seed(seed)
    network = create_network(spec, pretrained=False)
    torch.manual_seed(before)  # whatever was drawn before does not matter
    draw_by_name(network, seed)
    return network.state_dict()


def shared(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> list[str]:
    """Weights of layers that are in both and of one shape in both."""
    other = {
        name.rpartition(".")[0]
        for name in first.keys() | second.keys()
        if name not in first or name not in second or first[name].shape != second[name].shape
    }
    return [name for name in first if name.rpartition(".")[0] not in other]


@pytest.mark.parametrize("row", ROWS)
def test_all_arms_begin_with_the_same_weights_wherever_they_share_a_layer(row):
    plain, *others = (weights_of(spec, before=index) for index, spec in enumerate(SPECS[row].values()))
    for other in others:
        names = shared(plain, other)
        assert all(torch.equal(plain[name], other[name]) for name in names)


def test_pairs_share_their_whole_trunk():
    counts = {}
    for row, arms in SPECS.items():
        plain, fused = weights_of(arms["plain"]), weights_of(arms["IF"])
        counts[row] = {name.split(".")[0] for name in shared(plain, fused)}
    assert counts == {
        "fcn": {"encoder"},
        "unet": {"encoder", "decoder"},
        "unetpp": {"encoder", "nested"},
        "resunetpp": {"encoder", "bridge", "decoder", "output"},
        "pranet": {"encoder", "rfb3", "rfb4", "rfb5", "partial_decoder"},
    }


def test_one_generator_for_the_whole_network_would_share_less():
    """The reason for drawing by name: it runs apart at the first layer that only one of the two has."""
    usual = []
    for arm in ("sum", "weights"):
        torch.manual_seed(0)
        usual.append(create_network(SPECS["unet"][arm], pretrained=False).state_dict())
    by_name = [weights_of(SPECS["unet"][arm]) for arm in ("sum", "weights")]
    assert not torch.equal(*(weights["fusion.classify.weight"] for weights in usual))
    assert torch.equal(*(weights["fusion.classify.weight"] for weights in by_name))


@pytest.mark.parametrize("row", ROWS)
def test_every_layer_outside_the_encoder_is_drawn_by_pytorchs_own_distribution(row):
    spec = SPECS[row]["IF"]
    torch.manual_seed(0)
    usual = create_network(spec, pretrained=False).state_dict()
    first, second = weights_of(spec, 1), weights_of(spec, 2)
    for name, weight in usual.items():
        if name.startswith("encoder.") or weight.numel() < 1000:
            continue
        if weight.std() > 0:  # not what is constant: norms
            assert not torch.equal(first[name], second[name]), name
        assert first[name].std().item() == pytest.approx(weight.std().item(), rel=0.1), name


def test_the_global_generator_is_left_alone():
    network = create_network(SPECS["fcn"]["IF"], pretrained=False)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    draw_by_name(network, 0)
    assert torch.equal(torch.rand(3), expected)
