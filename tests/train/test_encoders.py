"""The encoders against the packages and files that their ImageNet weights come from."""

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from rtpolyp.errors import InputError
from train.encoders import ENCODERS, create_encoder
from train.encoders.efficientnet_lite import VARIANTS, deepened
from train.initial import begin_with, load_initial
from train.networks import NetworkSpec, create_network

FEATURE_TOLERANCE = 1e-5  # relative: both add the same float32 products, in another order


@pytest.fixture(autouse=True)
def _seeded():
    torch.manual_seed(0)


@pytest.mark.parametrize("name", ENCODERS)
def test_features_have_the_published_widths_and_strides(name):
    encoder = create_encoder(name, pretrained=False).eval()
    with torch.inference_mode():
        features = encoder(torch.randn(1, 3, 64, 96))
    shapes = [tuple(feature.shape) for feature in features]
    published = zip(encoder.out_channels, encoder.strides, strict=True)
    assert shapes == [(1, channels, 64 // stride, 96 // stride) for channels, stride in published]


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("efficientnet-lite0", 4_652_008),
        ("efficientnet-lite1", 5_416_680),
        ("efficientnet-lite2", 6_092_072),
    ],
)
def test_an_efficientnet_lite_has_the_published_parameter_count(name, parameters):
    encoder = create_encoder(name, pretrained=False)
    classifier = encoder.out_channels[-1] * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert sum(p.numel() for p in encoder.parameters()) + classifier == parameters


@pytest.mark.parametrize("name", VARIANTS)
def test_an_efficientnet_lite_computes_what_the_reference_package_computes(name):
    reference_package = pytest.importorskip("efficientnet_lite_pytorch")
    encoder = create_encoder(name).eval()
    reference = reference_package.EfficientNet.from_name(name, image_size=224).eval()
    reference.load_state_dict(encoder.state_dict(), strict=False)
    images = torch.randn(1, 3, 224, 224)  # the reference pads for this size only
    with torch.inference_mode():
        ours = encoder(images)
        x = reference._swish(reference._bn0(reference._conv_stem(images)))
        theirs = []
        for block in reference._blocks:
            x = block(x)
            theirs.append(x)
    for feature, expected in zip(ours, (theirs[index] for index in encoder.taps), strict=True):
        assert (feature - expected).abs().max() <= FEATURE_TOLERANCE * expected.abs().max()


@pytest.mark.parametrize(
    ("name", "parameters", "classifier"),
    [
        ("res2net50", 23_669_352, 25_718_352 - 23_669_352),
        ("vgg16", 14_714_688, 138_357_544 - 14_714_688),
    ],
)
def test_the_papers_encoders_have_the_published_parameter_count(name, parameters, classifier):
    encoder = create_encoder(name, pretrained=False)
    assert sum(p.numel() for p in encoder.parameters()) == parameters
    fc = {"res2net50": (2048, 1000), "vgg16": (512 * 7 * 7, 4096, 4096, 1000)}[name]
    assert sum((i + 1) * o for i, o in itertools.pairwise(fc)) == classifier


@pytest.mark.parametrize(
    ("name", "classifier", "keys"),
    [
        (
            "res2net50",
            "fc.",
            {"conv1.0.weight", "conv1.6.weight", "bn1.running_var", "layer1.0.convs.0.weight"}
            | {"layer1.0.bns.2.bias", "layer2.0.downsample.1.weight", "layer2.0.downsample.2.running_mean"}
            | {"layer3.5.convs.2.weight", "layer4.2.bn3.weight"},
        ),
        (
            "vgg16",
            "classifier.6.",
            {f"features.{i}.weight" for i in (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)},
        ),
    ],
)
def test_published_names_load_and_the_classifier_is_dropped(tmp_path, name, classifier, keys):
    published = create_encoder(name, pretrained=False).state_dict()
    assert keys <= set(published)
    torch.save({**published, f"{classifier}weight": torch.zeros(2, 2)}, tmp_path / "published.pth")
    loaded = create_encoder(name, pretrained=tmp_path / "published.pth").state_dict()
    assert all(torch.equal(published[key], value) for key, value in loaded.items())


@pytest.mark.parametrize("name", ["res2net50", "vgg16"])
def test_the_papers_encoders_without_a_weights_file_fail(tmp_path, name):
    with pytest.raises(InputError, match=f"{name}: no package .* Give --backbone-weights PATH, or imagenet"):
        create_encoder(name)
    with pytest.raises(InputError, match=rf"absent\.pth: no such weights file. Give a .pth of {name}"):
        create_encoder(name, pretrained=tmp_path / "absent.pth")


@pytest.mark.parametrize("name", ["res2net50", "vgg16"])
def test_the_papers_encoders_name_every_key_that_does_not_fit(tmp_path, name):
    state = create_encoder(name, pretrained=False).state_dict()
    first, second, *_ = state
    state["surprise"] = state.pop(first)
    state[second] = torch.zeros(5)
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=f"missing: {first}; unexpected: surprise; other shape: {second}"):
        create_encoder(name, pretrained=tmp_path / "weights.pth")


def test_res2net_is_the_published_cascade():
    """The published forward pass, which concatenates after every group, on the same weights."""
    encoder = create_encoder("res2net50", pretrained=False).eval()
    for first, block in ((True, encoder.layer2[0]), (False, encoder.layer2[1])):
        x = torch.randn(1, block.conv1.in_channels, 16, 16)
        with torch.inference_mode():
            groups = torch.split(F.relu(block.bn1(block.conv1(x))), block.width, 1)
            out = last = F.relu(block.bns[0](block.convs[0](groups[0])))
            for i in (1, 2):
                last = groups[i] if first else last + groups[i]
                last = F.relu(block.bns[i](block.convs[i](last)))
                out = torch.cat((out, last), 1)
            tail = F.avg_pool2d(groups[3], 3, 2, 1) if first else groups[3]
            out = block.bn3(block.conv3(torch.cat((out, tail), 1)))
            expected = F.relu(out + (block.downsample(x) if first else x))
            assert torch.equal(block(x), expected)


def test_foreign_weights_fail_naming_the_keys(tmp_path):
    state = create_encoder("efficientnet-lite0", pretrained=False).state_dict()
    state["surprise"] = state.pop("_conv_stem.weight")
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"missing: _conv_stem\.weight; unexpected: surprise"):
        create_encoder("efficientnet-lite0", pretrained=tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [b"", b"not a pickle", b"PK\3\4 half a zip"])
def test_a_broken_weights_file_fails_naming_it(tmp_path, content):
    (tmp_path / "weights.pth").write_bytes(content)
    with pytest.raises(InputError, match=r"weights\.pth: not a PyTorch weights file"):
        create_encoder("efficientnet-lite0", pretrained=tmp_path / "weights.pth")


def test_a_file_of_something_else_fails_naming_it(tmp_path):
    torch.save([1, 2], tmp_path / "weights.pth")
    with pytest.raises(InputError, match=r"weights\.pth: holds something else than weights"):
        create_encoder("efficientnet-lite0", pretrained=tmp_path / "weights.pth")


def test_mobilenetv2_without_a_weights_folder_fails():
    with pytest.raises(InputError, match=r"mobilenetv2: .* Give --backbone-weights FOLDER"):
        create_encoder("mobilenetv2")


def mobilenetv2_folder(folder):
    """Zero weights as the folder holds them: one convolution more than the encoder reads."""
    convolutions = [
        m for m in create_encoder("mobilenetv2", False).modules() if isinstance(m, torch.nn.Conv2d)
    ]
    for index, convolution in enumerate([*convolutions, torch.nn.Conv2d(320, 1280, 1)]):
        np.save(folder / f"conv_{2 * index}_weight.npy", convolution.weight.detach().numpy())
        np.save(folder / f"conv_{2 * index}_bias.npy", np.full(convolution.out_channels, index, np.float32))
    return folder


def test_mobilenetv2_reads_its_folder_in_the_order_of_the_forward_pass(tmp_path):
    encoder = create_encoder("mobilenetv2", pretrained=mobilenetv2_folder(tmp_path))
    convolutions = [m for m in encoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [int(m.bias[0]) for m in convolutions] == list(range(len(convolutions)))


@pytest.mark.parametrize("content", [None, b"half a file"])
def test_mobilenetv2_with_a_broken_file_fails_naming_it(tmp_path, content):
    bias = mobilenetv2_folder(tmp_path) / "conv_4_bias.npy"
    bias.unlink() if content is None else bias.write_bytes(content)
    with pytest.raises(InputError, match=r"conv_4_bias\.npy: cannot be read as \.npy"):
        create_encoder("mobilenetv2", pretrained=tmp_path)


def test_mobilenetv2_with_another_folder_fails_saying_what_it_holds(tmp_path):
    with pytest.raises(InputError, match=r"0 conv_\*_weight\.npy, expected 52"):
        create_encoder("mobilenetv2", pretrained=tmp_path)


def test_an_unknown_encoder_fails_listing_what_exists():
    with pytest.raises(InputError, match="there are: efficientnet-lite0, efficientnet-lite1"):
        create_encoder("resnet9000")


def test_a_deepened_network_begins_as_the_same_function():
    """On shipped weights: what a deeper encoder has more adds nothing yet, and can learn."""
    shallow, deep = NetworkSpec("pranet-if"), NetworkSpec("pranet-if", "efficientnet-lite1")
    initial = load_initial("pranet-if")
    one, other = (
        create_network(shallow, pretrained=False).eval(),
        create_network(deep, pretrained=False).eval(),
    )
    begin_with(one, shallow, initial)
    begin_with(other, deep, initial)
    images = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(one(images), other(images))
    other.train()(images.repeat(2, 1, 1, 1))[0].mean().backward()
    added = other.encoder._blocks[3]
    assert added._bn2.weight.grad.abs().max() > 0
    assert added._bn2.weight.abs().max() == 0


@pytest.mark.parametrize("encoder", ["efficientnet-lite2", "efficientnet-lite0"])
def test_a_network_is_deepened_to_the_same_widths_alone(encoder):
    weights = create_encoder("efficientnet-lite0", pretrained=False).state_dict()
    with pytest.raises(InputError, match=f"cannot be deepened to {encoder}"):
        deepened(weights, "efficientnet-lite0", encoder, weights)
