"""Test figures recorded in a bundle's spec and card."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rtpolyp.errors import InputError
from rtpolyp.spec import EngineSpec, read_spec, sha256_of, write_spec
from train.command_line import run_command_line
from train.export.model_card import app, record, write_model_card

OUTCOME = {"sensitivity": 0.9, "dice": 0.91, "false_outlines": 0.125}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle as far as a card is concerned."""
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"a network")
    outcomes = {"half": OUTCOME, "operating": OUTCOME}
    fp32 = {
        "stills": outcomes,
        "recorded": outcomes,
        "dice_by_source": {"kvasir-seg:a": 0.91},
        "agreement": 1.0,
    }
    validation = {"processor": "abacus", "polyp_free": "3 frames", "precisions": {"fp32": fp32}}
    spec = EngineSpec(
        "net", "pranet-if", "none", 64, 96, 0.55, 0.001, 0.8,
        files={"fp32": "model.onnx"},
        sha256={"model.onnx": sha256_of(folder / "model.onnx")},
        metrics={"validation": validation, "parity": {"openvino": "≤ 1/255"}},
        training={"sources": ["kvasir-seg:a"], "recipe": {"sizes": [[192, 0.75], [256, 0.25]], "x": None}},
        trained_on=("0123456789abcdef",),
    )  # fmt: skip
    write_spec(spec, folder / "spec.json")
    return folder


@pytest.fixture
def report(folder: Path) -> dict[str, Any]:
    """What `rtpolyp eval --json` writes, as far as it is recorded."""
    return {
        "source": "openvino fp32", "settings": {}, "frames": 12, "frames_with_polyp": 10,
        "frames_seen_in_training": 0, "figures": {"at_half": {"dice": 0.91234, "iou": None}},
        "outlines": {
            "operating": {
                "found": 9, "polyps": 10, "false_outlines": 2, "polyp_free": {"outlined": 1, "total": 2},
            },
        },
        "polyp_free_crops": {"operating": {"all": {"outlined": 3, "total": 60}}},
        "polyp_free_crop_frames": 10, "sha256": read_spec(folder / "spec.json").sha256,
    }  # fmt: skip


def test_the_card_is_written_from_the_spec(folder: Path):
    write_model_card(folder)
    card = (folder / "MODEL_CARD.md").read_text()
    assert "threshold 0.55, minimum area 0.001 of the picture" in card
    assert "Kvasir-SEG (Jha et al., MMM 2020)" in card
    assert "recipe: sizes (192, 0.75), (256, 0.25), x –" in card
    assert "| fp32 | recorded | 0.9100 | 0.9100 | 90.0% | 90.0% | 12.5% | 12.5% |" in card
    assert "| kvasir-seg:a | 0.9100 |" in card
    assert "| masks against FP32's | 1.0000 |" in card


def test_the_card_says_what_a_second_look_gave_on_groups_that_it_was_not_fitted_to(folder: Path):
    spec = read_spec(folder / "spec.json")
    outcomes = {view: {"half": OUTCOME, "operating": OUTCOME} for view in ("stills", "recorded")}
    validation = spec.metrics["validation"] | {"left_out_groups": outcomes}
    write_spec(replace(spec, metrics=spec.metrics | {"validation": validation}), folder / "spec.json")
    write_model_card(folder)
    found = "90.0% of polyps found and 12.5% of polyp-free frames outlined on"
    assert f"{found} the stills, {found} the recorded.\n\nOperating point: threshold 0.55" in (
        folder / "MODEL_CARD.md"
    ).read_text().replace("outlined\non", "outlined on")


def test_recorded_figures_stand_in_spec_and_card(folder: Path, report: dict[str, Any], tmp_path: Path):
    (tmp_path / "eval.json").write_text(json.dumps(report))
    arguments = [str(folder), "--record", f"kvasir-test={tmp_path / 'eval.json'}"]
    assert run_command_line(app, arguments) == 0
    card = (folder / "MODEL_CARD.md").read_text()
    for text in ("### kvasir-test: 12 frames, 10 with a polyp", "| at_half | 0.9123 | – |"):
        assert text in card
    for text in ("9 of 10 polyps found, 2 false outlines", "1 of 2 polyp-free frames", "3 of 60 polyp-free"):
        assert text in card
    assert read_spec(folder / "spec.json").metrics["test"]["kvasir-test"]["figures"] == report["figures"]


def test_figures_of_another_bundle_are_refused(folder: Path, report: dict[str, Any], tmp_path: Path):
    (tmp_path / "eval.json").write_text(json.dumps(report | {"sha256": {"model.onnx": "other"}}))
    with pytest.raises(InputError, match=r"eval\.json: scores another bundle"):
        record(folder, "kvasir-test", tmp_path / "eval.json")


@pytest.mark.parametrize("content", [None, "", "[]", "{}"])
def test_what_is_no_report_is_refused(folder: Path, tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "eval.json").write_text(content)
    with pytest.raises(InputError, match=r"eval\.json: not a report of rtpolyp eval"):
        record(folder, "kvasir-test", tmp_path / "eval.json")
