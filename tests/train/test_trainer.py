"""One step at a time: no look at the device, patience and plateaus, scaled gradients, compilation."""

import shutil
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from rtpolyp.errors import RtpolypError
from tests.train import tiny_encoder
from tests.train.polyps import picture
from train.batches import Batches
from train.data import Frames, TrainingFile
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics
from train.recipe import Recipe
from train.trainer import Trainer

SPEC = NetworkSpec("pranet-if", "tiny")
RECIPE = Recipe(steps=40, batch=4, sizes=((64, 1.0),))
FLOAT32 = Numerics(channels_last=False, bfloat16=False)
FLOAT16 = Numerics(channels_last=False, bfloat16=False, float16=True)


class Dot(nn.Module):
    """The smallest network: one weight a colour."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Module()
        self.encoder.mean, self.encoder.std = (127.0,) * 3, (64.0,) * 3
        self.head = nn.Conv2d(3, 1, 1)

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.head(images),)


@pytest.fixture(scope="module")
def frames() -> Frames:
    random = np.random.default_rng(0)
    pictures = [picture(random) for _ in range(6)]
    images = np.stack([image[:80, :80, ::-1] for image, _ in pictures])
    masks = np.stack([mask[:80, :80] for _, mask in pictures])
    files = tuple(TrainingFile("clinic:half", f"{index}.jpg", f"{index}") for index in range(6))
    return Frames(images, masks, np.zeros(6, np.int64), ("clinic:half",), files)


def trainer_of(
    frames: Frames,
    recipe: Recipe = RECIPE,
    numerics: Numerics = FLOAT32,
    device: str = "cpu",
    network: nn.Module | None = None,
    **options,
) -> Trainer:
    torch.manual_seed(0)
    where = torch.device(device)
    network = (network or Dot()).to(where)
    return Trainer(network, SPEC, numerics, Batches(frames, recipe, where), **options)


EVERYTHING = replace(RECIPE, polyp_free_crops=0.25, interlace=1, blur=1, noise=1, jpeg=1, clip_value=0.5)


@pytest.mark.parametrize(
    "recipe", [EVERYTHING, replace(EVERYTHING, scales=(0.5, 1.0), optimiser="nadam", loss="structure")]
)
def test_steps_read_nothing_from_the_device(frames, monkeypatch, recipe):
    """A meta tensor has no values: whatever would wait for the device to look at one fails."""
    tiny_encoder.register(monkeypatch)
    monkeypatch.setattr(Numerics, "autocast", lambda self, device: nullcontext())  # knows no meta device
    network = create_network(SPEC, pretrained=False)
    trainer = trainer_of(frames, recipe, device="meta", network=network)
    for _ in range(3):
        trainer.advance()
    assert trainer.step == 3
    with pytest.raises(NotImplementedError, match="meta"):
        trainer.means()


@pytest.mark.needs_cuda
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("numerics", [FLOAT32, Numerics(True, True), Numerics(True, False, True)])
def test_steps_do_not_wait_for_cuda(frames, monkeypatch, numerics):
    tiny_encoder.register(monkeypatch)
    network = create_network(SPEC, pretrained=False)
    trainer = trainer_of(frames, EVERYTHING, numerics, "cuda", network)
    trainer.advance()  # uploads the frames
    torch.cuda.set_sync_debug_mode("error")
    try:
        for _ in range(3):
            trainer.advance()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert trainer.means()["loss"] > 0


def test_patience_ends_a_run(frames):
    trainer = trainer_of(frames, replace(RECIPE, patience=2))
    for dice in (0.5, 0.4, 0.6, 0.6):  # as good is not better
        trainer.judge(dice)
        assert not trainer.ending
    assert (trainer.best_dice, trainer.stale) == (0.6, 1)
    trainer.judge(0.1)
    assert trainer.ending == "ended at step 0: 2 validations without a better one"
    assert trainer.best_dice == 0.6


def test_without_patience_the_steps_end_it(frames):
    trainer = trainer_of(frames, replace(RECIPE, steps=1))
    for _ in range(50):
        trainer.judge(0.1)
    assert (trainer.ending, trainer.lr_scale) == ("", 1.0)
    trainer.advance()
    assert trainer.ending == "all 1 steps done"


def test_a_plateau_lowers_the_learning_rate_and_a_restored_run_keeps_it(frames):
    recipe = replace(RECIPE, schedule="constant", plateau_patience=2, plateau_factor=0.1, lr_decoder=1e-2)
    trainer = trainer_of(frames, recipe)
    scales = []
    for dice in (0.5, 0.4, 0.4, 0.6, 0.5, 0.5, 0.5, 0.5):
        trainer.judge(dice)
        scales.append(trainer.lr_scale)
    assert scales == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.001])
    trainer.lr_scale = 0.1
    trainer.advance()
    assert trainer.optimiser.param_groups[-1]["lr"] == pytest.approx(1e-3)

    again = trainer_of(frames, recipe)
    again.restore(trainer.checkpoint(resumable=True))
    assert (again.stale, again.lr_scale, again.best_dice) == (4, 0.1, 0.6)
    again.advance()
    assert again.means()["lr"] == pytest.approx(1e-3)


def test_patience_begins_anew_in_a_longer_run(frames):
    recipe = replace(RECIPE, patience=1)
    trainer = trainer_of(frames, recipe)
    for dice in (0.5, 0.4):
        trainer.judge(dice)
    ended = trainer.checkpoint(resumable=True)
    same, longer = trainer_of(frames, recipe), trainer_of(frames, replace(recipe, steps=80))
    for one in (same, longer):
        one.restore(ended)
    assert same.ending
    assert not longer.ending
    assert longer.best_dice == 0.5


def test_float16_leaves_out_steps_that_overflow_and_scales_less(frames):
    trainer = trainer_of(frames, numerics=FLOAT16)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)
    before = trainer.network.head.weight.detach().clone()
    trainer.advance()
    assert torch.equal(trainer.network.head.weight, before)
    assert trainer.scaler.get_scale() == 2.0**39
    for _ in range(30):
        trainer.advance()
    assert not torch.equal(trainer.network.head.weight, before)
    means = trainer.means()
    assert all(np.isfinite(value) for value in means.values())

    again = trainer_of(frames, numerics=FLOAT16)
    again.restore(trainer.checkpoint(resumable=True))
    assert again.scaler.get_scale() == trainer.scaler.get_scale() < 2.0**39


def test_float16_gradients_that_overflow_at_any_scale_fail(frames):
    trainer = trainer_of(frames, numerics=FLOAT16)
    trainer.scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    trainer.network.head.weight.register_hook(lambda gradient: gradient / 0)
    trainer.advance()
    with pytest.raises(RtpolypError, match=r"step 1: loss [\d.]+ with a gradient norm of (inf|nan)\. Lower"):
        trainer.means()


@pytest.mark.skipif(not shutil.which("g++"), reason="needs a C++ compiler")
def test_a_compiled_network_takes_the_same_steps(frames):
    torch.compiler.reset()
    plain, compiled = trainer_of(frames), trainer_of(frames, compiles=True)
    for trainer in (plain, compiled):
        for _ in range(2):
            trainer.advance()
    for one, other in zip(plain.network.parameters(), compiled.network.parameters(), strict=True):
        torch.testing.assert_close(one, other)
    assert compiled.checkpoint(resumable=True).model.keys() == plain.network.state_dict().keys()


def test_a_network_that_cannot_be_compiled_fails_in_one_line(frames, tmp_path, monkeypatch):
    import torch._inductor.config as config

    torch.compiler.reset()
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    trainer = trainer_of(frames, compiles=True)
    with (
        config.patch({"cpp.cxx": (None, "/no/compiler")}),
        pytest.raises(RtpolypError, match=r"torch\.compile: .*C\+\+ compiler.* leave --compile out") as error,
    ):
        trainer.advance()
    assert "\n" not in str(error.value)
