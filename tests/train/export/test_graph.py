"""The exported graph against PyTorch."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from rtpolyp.errors import InputError
from tests.train.plans import as_plan
from tests.train.tiny_encoder import register
from train.export.graph import ByteNetwork, half_weights, to_onnx
from train.export.parity import EXACT, compare, reference
from train.networks import NetworkSpec, create_network
from train.networks.second_look import HIDDEN, LooksTwice

SIZE = (96, 64)
BORDER_LEVELS = 8  # what a mean folded into the bias costs at the border, at least


@pytest.fixture(scope="module")
def exported(redness_net) -> onnx.ModelProto:
    return to_onnx(ByteNetwork(redness_net, redness_net.encoder.mean, redness_net.encoder.std), SIZE)


def run(model: onnx.ModelProto, frames: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(["probability"], {"frames": frames})[0]


def noise(count: int) -> np.ndarray:
    """Reddish noise with white and black rows, so that borders and extremes count."""
    frames = np.random.default_rng(1).integers(0, 256, (count, SIZE[1], SIZE[0], 3), np.uint8)
    frames[..., 2] |= 128
    frames[:, :6], frames[:, -6:] = 255, 0
    return frames


def test_bytes_at_both_ends_and_a_symbolic_batch(exported: onnx.ModelProto):
    (frames,), (probability,) = exported.graph.input, exported.graph.output
    for value, name, shape in ((frames, "frames", [64, 96, 3]), (probability, "probability", [64, 96])):
        tensor = value.type.tensor_type
        assert value.name == name
        assert tensor.elem_type == onnx.TensorProto.UINT8
        assert tensor.shape.dim[0].dim_param
        assert [dimension.dim_value for dimension in tensor.shape.dim[1:]] == shape
    assert run(exported, noise(3)).shape == (3, 64, 96)


def test_bytes_meet_a_cast_first_and_leave_one_last(exported: onnx.ModelProto):
    readers = [node.op_type for node in exported.graph.node if "frames" in node.input]
    writers = [node.op_type for node in exported.graph.node if "probability" in node.output]
    assert (readers, writers) == (["Cast"], ["Cast"])


def test_what_is_left_in_the_graph(exported: onnx.ModelProto):
    operators = [node.op_type for node in exported.graph.node]
    assert not {"BatchNormalization", "Shape", "GatherND", "Gather", "Reshape"} & set(operators)
    constants = {tensor.name for tensor in exported.graph.initializer}
    resizes = [node for node in exported.graph.node if node.op_type == "Resize"]
    assert resizes
    assert all(node.input[2] in constants and len(node.input) == 3 for node in resizes)
    assert exported.opset_import[0].version == 18


def test_nothing_of_this_machine_is_left_in_the_file(exported: onnx.ModelProto):
    assert str(Path(__file__).parents[3]).encode() not in exported.SerializeToString()
    assert not any(node.doc_string or node.metadata_props for node in exported.graph.node)


def test_agrees_with_pytorch_up_to_the_border(exported: onnx.ModelProto, redness_net):
    frames = noise(2)
    expected = reference(redness_net, frames)
    assert len(np.unique(expected)) > 100
    difference = compare(expected, run(exported, frames))
    assert difference.levels <= EXACT.levels
    assert difference.flipped <= EXACT.flipped


def test_a_mean_folded_into_the_bias_would_be_seen_at_the_border(redness_net):
    """The tempting fold: right inside, wrong where padding is zero in pixels instead of normalised ones."""
    frames = noise(2)
    encoder = redness_net.encoder
    mean, std = (torch.tensor(values)[:, None, None] for values in (encoder.mean, encoder.std))
    folded = type(redness_net)().eval()
    with torch.no_grad():
        stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        stem.weight.copy_(redness_net.stem.weight / std)
        stem.bias.copy_(-(redness_net.stem.weight * (mean / std)).sum((1, 2, 3)))
        folded.stem = stem
        rgb = torch.from_numpy(frames[..., ::-1].copy()).permute(0, 3, 1, 2).float()
        found = (torch.sigmoid(folded(rgb))[:, 0] * 255 + 0.5).to(torch.uint8).numpy()
    expected = reference(redness_net, frames)
    inside = np.s_[:, 8:-8, 8:-8]
    assert compare(expected[inside], found[inside]).levels <= EXACT.levels
    assert compare(expected, found).levels >= BORDER_LEVELS


def test_half_weights_changes_storage_and_rounding_only(exported: onnx.ModelProto):
    halved = half_weights(exported)
    onnx.checker.check_model(halved, full_check=True)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in halved.graph.initializer}
    halves = {name.removesuffix(".fp16"): v for name, v in stored.items() if v.dtype == np.float16}
    originals = {tensor.name: numpy_helper.to_array(tensor) for tensor in exported.graph.initializer}
    assert sorted(v.shape for v in halves.values()) == [(16, 3, 3, 3), (16, 16, 3, 3)]
    for name, values in halves.items():
        np.testing.assert_array_equal(values, originals[name].astype(np.float16))
    assert halved.ByteSize() < 0.75 * exported.ByteSize()
    assert compare(run(exported, noise(2)), run(halved, noise(2))).levels <= 2


def test_normalisation_folds_into_each_convolution_that_reads_the_image():
    class TwoStems(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 1, 1), nn.Conv2d(3, 1, 3, padding=1)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.left(images) + self.right(images)

    torch.manual_seed(0)
    network, mean, std = TwoStems().eval(), (120.0, 110.0, 100.0), (60.0, 50.0, 40.0)
    rgb = torch.from_numpy(noise(2)[..., ::-1].copy())
    images = (rgb.float() - torch.tensor(mean)) / torch.tensor(std)
    with torch.inference_mode():
        expected = torch.sigmoid(network(images.permute(0, 3, 1, 2)))[:, 0].numpy() * 255
        found = ByteNetwork(network, mean, std)(rgb.flip(-1)).numpy()
    assert np.ptp(expected) > 100
    assert np.abs(found - expected).max() <= 0.5 + 1e-3  # rounded to bytes


def test_a_network_whose_image_no_convolution_reads_fails():
    with pytest.raises(InputError, match="Identity: no convolution reads the image"):
        ByteNetwork(nn.Identity(), (0, 0, 0), (1, 1, 1))


def test_the_network_itself_is_left_as_it_was(redness_net):
    before = redness_net.stem.weight.clone()
    ByteNetwork(redness_net, redness_net.encoder.mean, redness_net.encoder.std)
    assert torch.equal(redness_net.stem.weight, before)


@pytest.fixture(
    scope="module",
    params=[NetworkSpec("pranet-if"), NetworkSpec("pranet-if", "tiny+tiny"), NetworkSpec("pranet", "tiny")],
    ids=str,
)
def pranets(request):
    """The shipped network with a second look, and an ensemble and its twin on an encoder that takes less time
    to export; each with its graph."""
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        register(patch)
        network = create_network(request.param, pretrained=False).eval()
    if isinstance(network, LooksTwice):
        look = network.add_second_look().eval()
        look.put(nn.Linear(2 * sum(look.widths), HIDDEN), nn.Linear(HIDDEN, 1))
    for module in network.modules():  # as after training: an identity would hide a wrong fold
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return network, to_onnx(ByteNetwork(network, network.encoder.mean, network.encoder.std), SIZE)


def test_pranets_agree_with_pytorch(pranets):
    network, model = pranets
    difference = compare(reference(network, noise(3)), run(model, noise(3)))
    assert difference.levels <= EXACT.levels
    assert difference.flipped <= 10 * EXACT.flipped  # of 18,432 pixels, all of them near 0.5


def test_pranets_become_plans(pranets, tensorrt_rtx):
    as_plan(pranets[1], tensorrt_rtx)
