import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

import train.networks
from rtpolyp.spec import sha256_of
from train.checkpoint import Checkpoint, save_checkpoint
from train.data import Source, TrainingFile, parse_source
from train.networks import NetworkSpec, create_network
from train.networks.layers import resize
from train.optimisation import Numerics
from train.recipe import Recipe

MUCOSA, POLYP = (90, 100, 150), (60, 60, 230)  # BGR


class RednessNet(nn.Module):
    """Segments what is red without any training: an encoder's mean and std, padding, batch norm, a resize."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.mean, self.encoder.std = (150.0, 100.0, 90.0), (60.0, 55.0, 50.0)
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        self.body = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Conv2d(16, 1, 1)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=generator))
            self.stem.weight[0] = torch.tensor([2.0, -1.0, -1.0])[:, None, None] / 9
            self.norm.weight.fill_(1.0)
            self.norm.running_var.fill_(0.5)
            self.body.weight[0, 0, 1, 1] = 1.0
            self.head.weight[0, 0] = 3.0
            self.head.bias.fill_(-6.0)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(images)))
        return resize(self.head(torch.relu(self.body(x))), images.shape[-2:])


def frame_with(squares: list[tuple[int, int, int]], size: tuple[int, int], seed: int) -> np.ndarray:
    """`(H, W, 3) uint8 BGR`: noisy mucosa with red squares (x, y, side)."""
    frame = np.empty((size[1], size[0], 3), np.float64)
    frame[:] = MUCOSA
    for x, y, side in squares:
        frame[y : y + side, x : x + side] = POLYP
    noisy = frame + np.random.default_rng(seed).normal(0, 6, frame.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def write_data_set(folder: Path, frames: int = 20) -> Path:
    """`images/`, `masks/` and a split "mini": every fourth frame has no polyp, the last ten are val."""
    for sub in ("images", "masks", "splits"):
        (folder / sub).mkdir(parents=True)
    size = (96, 80)
    rng = np.random.default_rng(0)
    for index in range(frames):
        squares = [] if index % 4 == 3 else [(*rng.integers(4, 40, 2).tolist(), int(rng.integers(18, 32)))]
        cv2.imwrite(str(folder / "images" / f"f{index:02}.png"), frame_with(squares, size, index))
        mask = np.zeros(size[::-1], np.uint8)
        for x, y, side in squares:
            mask[y : y + side, x : x + side] = 255
        cv2.imwrite(str(folder / "masks" / f"f{index:02}.png"), mask)
    names = [f"f{index:02}" for index in range(frames)]
    (folder / "splits" / "mini_train.txt").write_text("\n".join(names[:-10]))
    (folder / "splits" / "mini_val.txt").write_text("\n".join(names[-10:]))
    return folder


@pytest.fixture(scope="session")
def cuda() -> torch.device:
    """For tests that are marked needs_cuda."""
    if not torch.cuda.is_available():
        if os.environ.get("FAIL_WITHOUT_CUDA"):
            pytest.fail("no CUDA device, and FAIL_WITHOUT_CUDA is set")
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture(scope="session")
def redness_net() -> RednessNet:
    return RednessNet().eval()


@pytest.fixture(scope="session")
def mini_source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return parse_source(str(write_data_set(tmp_path_factory.mktemp("data") / "mini-set")))


@pytest.fixture(scope="module")
def redness_checkpoint(tmp_path_factory: pytest.TempPathFactory, mini_source: Source) -> Iterator[Path]:
    """best.pt of a network "redness", registered meanwhile, that was "trained" on `mini_source`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(train.networks.NETWORKS, "redness", lambda spec, encoder: RednessNet())
        yield write_checkpoint(tmp_path_factory.mktemp("run") / "best.pt", mini_source)


def write_checkpoint(path: Path, mini_source: Source) -> Path:
    spec = NetworkSpec("redness")
    network = create_network(spec, pretrained=False)
    images = [pair.image for pair in mini_source.pairs("train")]
    files = tuple(TrainingFile(mini_source.name, path.name, sha256_of(path)) for path in images)
    mean, std = network.encoder.mean, network.encoder.std
    save_checkpoint(
        path,
        Checkpoint(
            spec, Recipe(), Numerics(False, False), 7, network.state_dict(), mean, std, files, (), 0.9
        ),
    )
    return path
