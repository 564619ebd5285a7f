"""A random network that outlines things, and frames with and without a polyp."""

from pathlib import Path

import pytest
import torch

from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.augmentation.augment import normalise
from train.checkpoint import Checkpoint, save_checkpoint
from train.data import TrainingFile, load_frames, parse_source
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics
from train.recipe import Recipe


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    tiny_encoder.register(monkeypatch)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_polyps(tmp_path_factory.mktemp("data") / "clinic", val=24, polyp_free=5)


@pytest.fixture
def checkpoint(clinic: Path, tmp_path: Path) -> Path:
    """A random network that outlines a quarter of each frame."""
    torch.manual_seed(0)
    spec = NetworkSpec("pranet-if", "tiny")
    network = create_network(spec, pretrained=False).eval()
    frames = load_frames([parse_source(f"{clinic}:half")], "val", 64)
    images = torch.from_numpy(frames.images).permute(0, 3, 1, 2).float()
    mean, std = network.encoder.mean, network.encoder.std
    logits = network(normalise(images, mean, std)).detach()
    weights = network.state_dict()
    bias = next(name for name, one in weights.items() if name.startswith("fusion") and one.shape == (1,))
    weights[bias] = weights[bias] - torch.quantile(logits, 0.75)
    files = (TrainingFile("clinic:half", "train0.jpg", "0" * 64),)
    path = tmp_path / "best.pt"
    save_checkpoint(
        path, Checkpoint(spec, Recipe(), Numerics(False, False), 7, weights, mean, std, files, (), 0.9)
    )
    return path


@pytest.fixture
def free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Frames without a polyp; of all that a network outlines, every second thing counts as a polyp."""
    kinds = iter([True, False] * 5000)
    monkeypatch.setattr("train.second_look.fit._iou", lambda *_: 0.9 if next(kinds) else 0.0)
    folder = write_polyps(tmp_path / "free", train=3, val=1, polyp_free=3, seed=1)
    for part in ("train", "val"):
        (folder / "splits" / f"half_{part}.txt").rename(folder / "splits" / f"negatives_{part}.txt")
    return folder
