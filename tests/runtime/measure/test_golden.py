"""The golden frame: what passes, what is a wrong machine, and what is a broken bundle."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import rtpolyp.inference.bundle as bundles
from rtpolyp.cli import run_command_line
from rtpolyp.errors import EngineError, WrongResult
from rtpolyp.inference import open_engine
from rtpolyp.inference.bundle import Bundle, load_bundle
from rtpolyp.measure.golden import check_golden, read_golden
from tests.runtime.committed import COMMITTED
from tests.runtime.golden_bundle import promise_mask


@pytest.fixture
def own_bundle(golden_bundle: Bundle, tmp_path: Path) -> Bundle:
    return load_bundle(shutil.copytree(golden_bundle.folder, tmp_path / "pranet-if"))


def test_every_backend_gives_the_mask_of_the_export(golden_bundle: Bundle):
    golden = read_golden(golden_bundle)
    assert golden.frame.shape == (64, 96, 3)
    assert golden.masks["fp32"].any()
    for backend in ("openvino", "onnxruntime"):
        for precision in ("fp32", "int8"):
            with open_engine(golden_bundle.folder, backend=backend, precision=precision) as engine:
                check = check_golden(engine, golden, precision)
            assert check.dice > 0.99
    with open_engine(golden_bundle.folder, backend="openvino", precision="fp32") as engine:
        assert str(check_golden(engine, golden, "fp32")) == "fp32 bit for bit"
        # a precision that the exporting machine had not is judged by FP32's mask
        assert check_golden(engine, golden, "fp16").equal


def test_the_digest_is_that_of_the_networks_files(golden_bundle: Bundle):
    assert replace(golden_bundle.spec, golden={}).digest == golden_bundle.digest


def test_an_earlier_bundle_has_none(bundle: Bundle):
    assert read_golden(bundle) is None


@pytest.mark.parametrize("empty", [False, True])
def test_another_mask_is_a_wrong_machine(own_bundle: Bundle, empty: bool):
    mask = np.zeros((64, 96), bool)
    if not empty:
        mask[:32] = True
    promise_mask(own_bundle, mask)
    golden = read_golden(load_bundle(own_bundle.folder))
    with (
        open_engine(own_bundle.folder, backend="openvino", precision="fp32") as engine,
        pytest.raises(WrongResult, match=r"openvino fp32.* golden frame agrees with Dice 0\.\d{4}, below"),
    ):
        check_golden(engine, golden, "fp32")


def test_a_frame_or_mask_that_is_not_the_spec_s_is_a_broken_bundle(own_bundle: Bundle):
    frame, spec = own_bundle.folder / "golden.png", own_bundle.folder / "spec.json"
    kept = spec.read_text()
    spec.write_text(kept.replace('"runs": "', '"runs": "0 0 ', 1))
    assert read_golden(load_bundle(own_bundle.folder)) is not None  # the same mask in other words
    for runs, message in (("1 0 ", "do not add up to 96x64"), ("0 1 ", "do not add up")):
        spec.write_text(kept.replace('"runs": "', f'"runs": "{runs}', 1))
        with pytest.raises(EngineError, match=rf"spec\.json: golden has .*{message}"):
            read_golden(load_bundle(own_bundle.folder))
    spec.write_text(
        kept.replace(
            f'"sha256": "{own_bundle.spec.golden["masks"]["fp32"]["sha256"]}"', f'"sha256": "{"0" * 64}"'
        )
    )
    with pytest.raises(EngineError, match="golden has a mask that differs from its SHA-256"):
        read_golden(load_bundle(own_bundle.folder))
    frame.write_bytes(frame.read_bytes() + b"\0")
    with pytest.raises(EngineError, match=r"golden\.png: is not the frame that spec\.json names"):
        read_golden(own_bundle)
    frame.unlink()
    with pytest.raises(EngineError, match=r"golden\.png: not readable .*fetch the bundle again"):
        read_golden(own_bundle)
    frame.symlink_to("/etc/hostname")
    with pytest.raises(EngineError, match=r"golden\.png: leads out of the bundle's folder"):
        load_bundle(own_bundle.folder)


def test_the_doctor_compares_and_a_mismatch_is_exit_code_2(
    golden_bundle: Bundle, own_bundle: Bundle, monkeypatch, capsys, tmp_path: Path
):
    monkeypatch.setenv("RTPOLYP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bundles, "SHELVES", (golden_bundle.folder.parent,))
    assert run_command_line(["doctor"]) == 0
    assert "as exported: openvino fp32 bit for bit" in " ".join(capsys.readouterr().out.split())
    promise_mask(own_bundle, np.ones((64, 96), bool))
    monkeypatch.setattr(bundles, "SHELVES", (own_bundle.folder.parent,))
    assert run_command_line(["doctor"]) == 2
    said = " ".join(capsys.readouterr().out.split())
    assert "what is computed here is wrong: see golden frame" in said
    assert "agrees with Dice" in said


@pytest.mark.parametrize("name", sorted(COMMITTED))
def test_the_shipped_bundles_compute_here_what_they_did_where_they_were_exported(name: str):
    bundle = load_bundle(name)
    golden = read_golden(bundle)
    assert 0.02 < golden.masks["fp32"].mean() < 0.3
    for precision in ("fp32", "int8"):
        with open_engine(name, backend="openvino", precision=precision) as engine:
            check_golden(engine, golden, precision)
