"""A whole export, and everything that must stop one."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest

import train.export.bundle as export
import train.export.judgement as judgement
from rtpolyp.errors import EngineError, InputError, OutputError
from rtpolyp.imaging.training_sources import TrainingSources
from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import load_bundle
from rtpolyp.inference.openvino import OpenVinoEngine
from rtpolyp.measure.golden import check_golden, read_golden
from rtpolyp.spec import image_fingerprint, sha256_of, write_spec
from train.checkpoint import load_checkpoint, load_network, save_checkpoint
from train.command_line import run_command_line
from train.data import Source
from train.export import golden
from train.export.bundle import Choices, export_bundle, sources_of
from train.export.heldout import load_held_out
from train.export.judgement import PRECISION_COST
from train.export.operating_point import OperatingPoint
from train.export.parity import Tolerance

SIDE = 64


def exported(checkpoint: Path, folder: Path, source: Source) -> Path:
    export_bundle(checkpoint, folder, name="redness", sources=[source], choices=Choices(SIDE))
    return folder


@pytest.fixture(scope="module")
def bundle_folder(
    redness_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, mini_source: Source
) -> Path:
    return exported(redness_checkpoint, tmp_path_factory.mktemp("engines") / "redness", mini_source)


def test_the_bundle_is_whole_and_alone(bundle_folder: Path):
    assert sorted(path.name for path in bundle_folder.iterdir()) == [
        "MODEL_CARD.md", "golden.png", "model.int8.onnx", "model.onnx", "spec.json", "weights.pt",
    ]  # fmt: skip
    assert list(bundle_folder.parent.iterdir()) == [bundle_folder]
    bundle = load_bundle(bundle_folder)
    load_network(load_checkpoint(bundle.model("weights")))


def test_pytorchs_weights_can_be_left_out(redness_checkpoint: Path, mini_source: Source, tmp_path: Path):
    choices = Choices(SIDE, weights=False)
    export_bundle(redness_checkpoint, tmp_path / "b", name="b", sources=[mini_source], choices=choices)
    assert set(load_bundle(tmp_path / "b").spec.files) == {"fp32", "int8"}
    assert not list((tmp_path / "b").glob("*.pt"))


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_runtime_opens_it(bundle_folder: Path, mini_source: Source, precision: str):
    with open_engine(bundle_folder, precision=precision) as engine:
        held_out = load_held_out([mini_source], engine.spec.size)
        found = engine.submit(held_out.frames[:1]).result(20).probability
    truth = held_out.truth[0]
    assert ((found[0] > 127) & truth).sum() > 0.8 * truth.sum()
    assert ((found[0] > 127) & ~truth).sum() < 0.1 * truth.sum()


def test_the_spec_tells_what_it_was_made_of_and_is_worth(bundle_folder: Path, mini_source: Source):
    spec = load_bundle(bundle_folder).spec
    assert (spec.name, spec.network, spec.width, spec.height) == ("redness", "redness", SIDE, SIDE)
    pairs = mini_source.pairs("train") + mini_source.pairs("val")
    assert set(spec.trained_on) == {image_fingerprint(pair.image) for pair in pairs}
    assert spec.training["sources"] == [mini_source.name]
    assert spec.training["step"] == 7
    precisions = spec.metrics["validation"]["precisions"]
    assert {"fp32", "int8"} <= precisions.keys()
    assert precisions["fp32"]["stills"]["half"]["dice"] > 0.8
    assert (
        precisions["int8"]["stills"]["half"]["dice"]
        >= precisions["fp32"]["stills"]["half"]["dice"] - PRECISION_COST
    )
    assert precisions["fp32"]["agreement"] == 1
    assert 0.95 < precisions["int8"]["agreement"] < 1
    assert len(spec.metrics["parity"]) == 4
    known = TrainingSources.of(spec.appearance)
    assert known is not None
    assert known.names == (mini_source.name,)
    assert known.frames == (len(mini_source.pairs("train")),)
    json.loads((bundle_folder / "spec.json").read_text(), parse_constant=pytest.fail)  # no NaN


def test_the_golden_frame_is_in_it_with_a_mask_of_each_precision(bundle_folder: Path):
    bundle = load_bundle(bundle_folder)
    expected = read_golden(bundle)
    assert expected.masks.keys() == set(OpenVinoEngine.precisions(bundle))
    with open_engine(bundle_folder, precision="fp32", backend="openvino") as engine:
        assert check_golden(engine, expected, "fp32").equal


def test_an_earlier_bundle_is_given_one(bundle_folder: Path, tmp_path: Path):
    earlier = shutil.copytree(bundle_folder, tmp_path / "redness")
    spec = load_bundle(earlier).spec
    write_spec(dataclasses.replace(spec, golden={}), earlier / "spec.json")
    (earlier / "golden.png").unlink()
    assert run_command_line(golden.app, [str(earlier)]) == 0
    assert load_bundle(earlier).spec == spec
    assert f"{sha256_of(earlier / 'golden.png')}" in (earlier / "MODEL_CARD.md").read_text()


def test_the_files_name_what_they_are_and_no_path_of_this_machine(bundle_folder: Path, mini_source: Source):
    properties = {p.key: p.value for p in onnx.load(bundle_folder / "model.int8.onnx").metadata_props}
    assert (properties["name"], properties["role"]) == ("redness", "int8")
    for file in bundle_folder.iterdir():
        assert str(mini_source.folder.parent).encode() not in file.read_bytes()


def test_the_card_says_terms_limits_and_hashes(bundle_folder: Path):
    card = (bundle_folder / "MODEL_CARD.md").read_text()
    assert "not a medical device" in card
    assert "mini-set | mini | not described here | unknown" in card
    assert all(value in card for value in load_bundle(bundle_folder).spec.sha256.values())
    assert sha256_of(bundle_folder / "spec.json") in card
    assert "None are recorded in this bundle" in card


def test_a_precision_that_costs_too_much_is_left_out_and_said(
    redness_checkpoint: Path, tmp_path: Path, mini_source: Source, monkeypatch, caplog
):
    monkeypatch.setattr(judgement, "PRECISION_COST", -1.0)
    bundle = load_bundle(exported(redness_checkpoint, tmp_path / "redness", mini_source))
    assert "int8 is left out: mean Dice on validation frames falls from" in caplog.text
    assert set(bundle.spec.files) == {"fp32", "weights"}
    assert not (bundle.folder / "model.int8.onnx").exists()
    assert list(bundle.spec.metrics["validation"]["precisions"]) == ["fp32"]
    assert OpenVinoEngine.precisions(bundle) == ("fp32",)  # nor bf16, on a processor that has it
    assert "OperatingPoint(" not in caplog.text
    assert "Outcome(" not in caplog.text


def test_an_untrained_network_is_refused_unless_it_may_be(
    redness_checkpoint: Path, tmp_path: Path, mini_source: Source, monkeypatch
):
    """Whatever the network is worth, a limit above it makes it worthless here."""
    monkeypatch.setattr(export, "WORTHLESS", 2.0)
    with pytest.raises(InputError, match=r"best\.pt: Dice 0\.\d+ on 10 validation frames, which is an un"):
        exported(redness_checkpoint, tmp_path / "redness", mini_source)
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_tells_where_its_data_lay(redness_checkpoint: Path, tmp_path: Path):
    trained = load_checkpoint(redness_checkpoint)
    save_checkpoint(tmp_path / "best.pt", dataclasses.replace(trained, data=("/clinic:own",)))
    assert sources_of(tmp_path / "best.pt") == ("/clinic:own",)
    save_checkpoint(tmp_path / "old.pt", dataclasses.replace(trained, data=()))
    with pytest.raises(InputError, match=r"old\.pt: does not say where its data lay; give them by --data"):
        sources_of(tmp_path / "old.pt")


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        (("HALF_WEIGHTS", Tolerance(-1, 1.0)), "FP16 weights: differs from PyTorch"),
        (("HALVING_COST", -1.0), "weights stored as FP16: mean Dice on validation frames falls"),
    ],
)
def test_weights_that_fp16_would_spoil_are_stored_as_fp32(
    redness_checkpoint: Path,
    tmp_path: Path,
    mini_source: Source,
    monkeypatch,
    caplog,
    limit: tuple[str, object],
    message: str,
):
    monkeypatch.setattr(export, "quantise", lambda model, *_: model)  # has a test of its own
    exported(redness_checkpoint, tmp_path / "halved", mini_source)
    monkeypatch.setattr(export, *limit)
    exported(redness_checkpoint, tmp_path / "whole", mini_source)
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert said.startswith("the weights are stored as FP32, at twice the size: ")
    assert message in said
    halved, whole = (load_bundle(tmp_path / kind).model("fp32") for kind in ("halved", "whole"))
    assert whole.stat().st_size > 1.5 * halved.stat().st_size


def test_a_failure_leaves_the_earlier_bundle(
    redness_checkpoint: Path, tmp_path: Path, mini_source: Source, monkeypatch
):
    folder = tmp_path / "engines" / "redness"
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text("the earlier one")
    monkeypatch.setattr(export, "EXACT", Tolerance(-1, 1.0))
    monkeypatch.setattr(export, "quantise", lambda model, *_: model)  # has a test of its own
    with pytest.raises(EngineError, match="differs from PyTorch"):
        exported(redness_checkpoint, folder, mini_source)
    assert [path.name for path in tmp_path.rglob("engines/**/*") if path.is_file()] == ["spec.json"]
    assert (folder / "spec.json").read_text() == "the earlier one"


def test_a_folder_with_other_things_fails(redness_checkpoint: Path, tmp_path: Path, mini_source: Source):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(OutputError, match=r"holds something that has no spec\.json"):
        exported(redness_checkpoint, tmp_path, mini_source)
    assert (tmp_path / "thesis.tex").exists()


def test_a_folder_that_cannot_be_made_fails(redness_checkpoint: Path, tmp_path: Path, mini_source: Source):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        exported(redness_checkpoint, tmp_path / "file" / "redness", mini_source)


def test_other_data_than_it_was_trained_on_fails(
    redness_checkpoint: Path, tmp_path: Path, mini_source: Source
):
    other = dataclasses.replace(mini_source, split="maxi")
    with pytest.raises(InputError, match=r"best\.pt: trained on mini-set:mini, not mini-set:maxi"):
        exported(redness_checkpoint, tmp_path / "bundle", other)


def test_validation_frames_are_what_the_runtime_would_see(mini_source: Source):
    held_out = load_held_out([mini_source], (SIDE, SIDE))
    assert held_out.frames.shape == (10, SIDE, SIDE, 3)
    assert held_out.truth.dtype == bool
    assert held_out.has_polyp.tolist() == [index % 4 != 3 for index in range(10, 20)]
    red = held_out.frames[0][held_out.truth[0]].mean(axis=0)
    assert np.argmax(red) == 2  # BGR


def test_a_second_look_brings_its_operating_point_and_its_size(
    redness_checkpoint: Path, tmp_path: Path, mini_source: Source
):
    trained = load_checkpoint(redness_checkpoint)
    point = {"threshold": 0.4, "minimum_area": 0.002, "minimum_confidence": 0.6}
    looked = dataclasses.replace(
        trained,
        second_look={"sources": [mini_source.name], "size": 96, "point": point, "outcomes": {"stills": {}}},
    )
    save_checkpoint(tmp_path / "looked.pt", looked)
    with pytest.raises(
        InputError, match=r"was fitted at 96 px, the bundle has 64\. Give --size 96, or fit it"
    ):
        exported(tmp_path / "looked.pt", tmp_path / "redness", mini_source)
    chosen, outcomes = export.of_second_look(tmp_path / "looked.pt", looked, 96)
    assert (chosen, outcomes) == (OperatingPoint(**point), {"left_out_groups": {"stills": {}}})
    assert export.of_second_look(redness_checkpoint, trained, 96) == (None, {})
