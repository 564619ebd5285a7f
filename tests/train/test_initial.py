"""`--init`: what a run begins with, and what it inherits."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import train.loop
from rtpolyp.errors import BackendError, EngineError, InputError
from rtpolyp.spec import EngineSpec, image_fingerprint, read_spec, sha256_of, write_spec
from tests.train import tiny_encoder
from tests.train.polyps import write_polyps
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.data import Source, parse_source
from train.export.bundle import _fingerprints
from train.export.heldout import load_held_out
from train.initial import begin_with, load_initial
from train.loop import Options, fit
from train.networks import NetworkSpec, create_network
from train.optimisation import Numerics
from train.recipe import Recipe
from train.weights import save_weights

SPEC = NetworkSpec("pranet-if", "tiny")
STILL = Recipe(steps=1, batch=4, sizes=((64, 1.0),), lr_encoder=0, lr_decoder=0)  # moves no weight


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


def clinic(folder: Path, seed: int) -> Source:
    return parse_source(str(write_polyps(folder, seed=seed)))


def run(source: Source, out: Path, recipe: Recipe = STILL, **options) -> Checkpoint:
    """Train; return what `last.pt` holds."""
    numerics = Numerics(channels_last=False, bfloat16=False)
    fit(SPEC, recipe, [source], out, Options(pretrained=False, numerics=numerics, **options))
    return load_checkpoint(out / "last.pt")


@pytest.fixture
def first(tmp_path) -> Path:
    """best.pt of a run on the clinic "first"."""
    run(clinic(tmp_path / "first", 1), tmp_path / "run1", replace(STILL, seed=1))
    return tmp_path / "run1" / "best.pt"


def write_bundle(folder: Path, checkpoint: Path) -> Path:
    folder.mkdir()
    save_weights(load_checkpoint(checkpoint), folder / "weights.pt")
    hashes = {"weights.pt": sha256_of(folder / "weights.pt")}
    spec = EngineSpec(
        "mine", "pranet-if", "tiny", 64, 64, threshold=0.5, minimum_area=0.0, minimum_confidence=0.0,
        files={"weights": "weights.pt"}, sha256=hashes,
    )  # fmt: skip
    write_spec(spec, folder / "spec.json")
    return folder


@pytest.mark.parametrize("kind", ["best.pt", "weights.pt", "bundle"])
def test_a_run_begins_with_the_weights_and_inherits_what_they_have_seen(first, tmp_path, kind):
    bundle = write_bundle(tmp_path / "mine", first)
    text = {"best.pt": str(first), "weights.pt": str(bundle / "weights.pt"), "bundle": str(bundle)}[kind]
    begun = load_initial(text)
    second = run(clinic(tmp_path / "second", 2), tmp_path / "run2", init=text)
    for name, _ in create_network(SPEC, pretrained=False).named_parameters():
        assert torch.equal(second.model[name], begun.ema[name].float())
    assert second.earlier == load_checkpoint(first).files
    assert {file.source for file in second.files} == {"second:half"}


def test_the_shipped_bundle_can_be_begun_with_by_its_name():
    initial, spec = load_initial("pranet-if"), NetworkSpec("pranet-if")
    network = create_network(spec, pretrained=False)
    begin_with(network, spec, initial)
    state = network.state_dict()
    assert all(torch.equal(state[name], tensor.to(state[name].dtype)) for name, tensor in initial.ema.items())
    assert len(initial.seen) > 1000


def test_every_run_of_a_chain_is_inherited_and_exported(first, tmp_path):
    sources = [clinic(tmp_path / name, seed) for name, seed in (("second", 2), ("third", 3))]
    run(sources[0], tmp_path / "run2", init=str(first))
    third = run(sources[1], tmp_path / "run3", init=str(tmp_path / "run2" / "best.pt"))
    again = run(sources[0], tmp_path / "run4", init=str(tmp_path / "run3" / "best.pt"))
    assert [file.source for file in third.seen] == ["third:half"] * 6 + ["second:half"] * 6 + [
        "first:half"
    ] * 6
    assert {file.sha256 for file in again.seen} == {file.sha256 for file in third.seen}
    assert len(again.seen) == 18  # the second clinic's files once

    held_out = load_held_out([sources[1]], (64, 64))
    images = [pair.image for pair in held_out.pairs]
    images += [
        path for name in ("first", "second", "third") for path in tmp_path.glob(f"{name}/images/train*")
    ]
    assert set(_fingerprints(third, held_out)) == {image_fingerprint(path) for path in images}


def test_a_run_that_is_resumed_does_not_read_the_weights_again(first, tmp_path, monkeypatch):
    source, recipe = clinic(tmp_path / "second", 2), replace(STILL, steps=2, lr_decoder=1e-2)
    whole = run(source, tmp_path / "whole", recipe, init=str(first))

    def saved_once(path: Path, checkpoint: Checkpoint) -> None:
        save_checkpoint(path, checkpoint)
        if path.name == "last.pt":
            raise KeyboardInterrupt  # as after a kill -9

    monkeypatch.setattr(train.loop, "save_checkpoint", saved_once)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path / "cut", recipe, init=str(first), save_minutes=0)
    monkeypatch.undo()
    tiny_encoder.register(monkeypatch)
    first.unlink()
    cut = run(source, tmp_path / "cut", recipe, init=str(first), resume=True)
    assert cut.earlier == whole.earlier != ()
    assert all(torch.equal(cut.model[name], whole.model[name]) for name in whole.model)


def test_another_network_fails_naming_keys(first):
    network = create_network(NetworkSpec("pranet", "tiny"), pretrained=False)
    with pytest.raises(
        InputError,
        match=r"weights of pranet-if on tiny do not fit pranet on tiny: "
        r"missing [\w.]+, [\w.]+, .* \(\d+\); left over [\w.]+, .*\. Give the same --net",
    ) as error:
        begin_with(network, NetworkSpec("pranet", "tiny"), load_initial(str(first)))
    assert "\n" not in str(error.value)


def test_a_weight_of_another_shape_fails_naming_it(first):
    network = create_network(SPEC, pretrained=False)
    network.encoder.stem = torch.nn.Conv2d(3, 16, 4, stride=4)
    with pytest.raises(
        InputError, match=r"tiny: of another shape encoder\.stem\.weight, encoder\.stem\.bias\. Give"
    ):
        begin_with(network, SPEC, load_initial(str(first)))


@pytest.mark.parametrize("part", ["val", "test"])
def test_a_run_that_is_judged_on_what_the_weights_have_seen_fails_naming_it(first, tmp_path, part):
    source = clinic(tmp_path / "second", 2)
    shutil.copy(tmp_path / "first" / "images" / "train4.jpg", source.folder / "images" / "val1.jpg")
    if part == "test":
        (source.folder / "splits" / "half_val.txt").write_text("val0\nval2\n")
        (source.folder / "splits" / "half_test.txt").write_text("val1\n")
    with pytest.raises(
        InputError,
        match=rf"val1\.jpg: 1 of the {part} images of .* are training images of what --init .* begins",
    ):
        run(source, tmp_path / "run2", init=str(first))


def test_weights_that_are_missing_fail(first, tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.pt: no such checkpoint"):
        load_initial(str(tmp_path / "nowhere.pt"))
    with pytest.raises(EngineError, match="nowhere"):
        load_initial(str(tmp_path / "nowhere"))
    bundle = write_bundle(tmp_path / "mine", first)
    write_spec(replace(read_spec(bundle / "spec.json"), files={}, sha256={}), bundle / "spec.json")
    with pytest.raises(BackendError, match="no weights"):
        load_initial(str(bundle))
