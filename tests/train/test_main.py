"""`python -m train` as a user meets it: one line for each error, and a run that survives SIGTERM."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.train import tiny_encoder
from tests.train.full_disk import files_of_at_most
from tests.train.polyps import write_polyps
from train.__main__ import app
from train.checkpoint import load_checkpoint
from train.command_line import run_command_line
from train.losses import LOSSES

ROOT = Path(__file__).resolve().parents[2]
TINY = ("--net", "pranet-if", "--encoder", "tiny", "--random-init", "--batch", "2", "--sizes", "64", "1")
START_SECONDS = 300  # until the first step is done; generous, for a machine that does much else
STOP_SECONDS = 120  # a step, and a checkpoint


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    tiny_encoder.register(monkeypatch)


@pytest.fixture
def data(tmp_path: Path) -> str:
    return f"{write_polyps(tmp_path / 'clinic')}:half"


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"--net": "unet9000"}, "network 'unet9000' has no recipe; did you mean unet? there are: pranet, "),
        ({"--encoder": "resnet9000"}, "--encoder 'resnet9000' is unknown; did you mean res2net50? "),
        ({"--data": "/nowhere"}, "/nowhere: no such folder; "),
        ({"--backbone-weights": "/nowhere.pth"}, "/nowhere.pth: no such weights file"),
        ({"--backbone-weights": "imagenet", "--encoder": "mobilenetv2"}, "mobilenetv2: no package"),
        ({"--steps": "0"}, "--steps: 0 cannot work. Give 1 or more"),
        ({"--ema": "2"}, "--ema: 2.0 cannot work. Give 0 to 1"),
        ({"--batch": "many"}, 'Invalid value for --batch: unable to convert "many" into int.'),
        ({"--sizes": "64"}, "Parameter --sizes requires 2 positional arguments. Only got 1."),
        ({"--frobnicate": "3"}, "Unknown option: --frobnicate."),
        ({"--device": "abacus"}, "--device 'abacus':"),
        ({"--device": "cuda:99"}, "--device 'cuda:99':"),
        ({"--precision": "float16"}, "--precision 'float16' is not for cpu; there are: float32, bfloat16"),
        ({"--stride4": None, "--net": "pranet"}, "pranet has no fusion that could take stride 4."),
        ({"--data": None}, "Parameter --data requires an argument."),
        ({"stray": None}, "Unused Tokens: ['stray']."),
    ],
)  # fmt: skip
def test_a_users_error_is_one_line_and_exit_code_2(change, line, data, tmp_path, capsys):
    options = {"--net": "pranet-if", "--data": data, "--out": str(tmp_path / "run"), **change}
    tokens = [token for pair in options.items() for token in pair if token is not None]
    assert run_command_line(app, tokens) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"rtpolyp: {line}")
    assert output.err.count("\n") == 1
    assert not (tmp_path / "run" / "last.pt").exists()


def no_mask(folder: Path) -> None:
    (folder / "masks" / "train3.png").unlink()


def other_size(folder: Path) -> None:
    cv2.imwrite(str(folder / "masks" / "val1.png"), np.zeros((40, 50), np.uint8))


def empty_split(folder: Path) -> None:
    (folder / "splits" / "half_val.txt").write_text("\n")


def broken_image(folder: Path) -> None:
    (folder / "images" / "train3.jpg").write_bytes(b"no picture")


def trained_on_test(folder: Path) -> None:
    (folder / "splits" / "half_test.txt").write_text("train3\n")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (no_mask, r".*/images/train3\.jpg: no mask .*/masks/train3\.\*; add it, empty when no polyp"),
        (other_size, r".*/masks/val1\.png: 50x40 .* 96x80.*"),
        (empty_split, r".*/splits/half_val\.txt: the split is empty; write one frame name a line"),
        (broken_image, r".*/images/train3\.jpg: not a readable image.*"),
        (trained_on_test, r".*/train3\.jpg: 1 of the test images of clinic:half are training images of .*"),
    ],
)
def test_unusable_data_is_one_line_and_exit_code_2(spoil, line, data, tmp_path, capsys):
    spoil(tmp_path / "clinic")
    assert run_command_line(app, [*TINY, "--data", data, "-o", str(tmp_path / "run")]) == 2
    assert re.fullmatch(f"rtpolyp: {line}\n", capsys.readouterr().err)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_a_loss_that_is_no_number_is_one_line_and_exit_code_2(data, tmp_path, capsys, monkeypatch):
    out, tokens = tmp_path / "run", [*TINY, "--data", data, "--save-minutes", "0"]
    assert run_command_line(app, [*tokens, "--steps", "1", "-o", str(out)]) == 0
    capsys.readouterr()
    monkeypatch.setitem(LOSSES, "bce-dice", lambda logits, target: logits.mean() / 0)
    assert run_command_line(app, [*tokens, "--steps", "3", "-o", str(out), "--resume"]) == 2
    files = r"(train\d\.jpg, )train\d\.jpg"
    line = (
        rf"rtpolyp: step 2: loss (nan|-?inf) with .* check: {files}; "
        r".*/last\.pt holds the last good weights\n"
    )
    assert re.fullmatch(line, capsys.readouterr().err)
    good = load_checkpoint(out / "last.pt")
    assert good.step == 1
    assert all(tensor.isfinite().all() for tensor in good.model.values())


@pytest.mark.parametrize(("size", "file"), [(50, "train.csv"), (5000, "best.pt")])
def test_a_full_disk_is_one_line_and_exit_code_2(data, tmp_path, capsys, size, file):
    tokens = [*TINY, "--data", data, "--steps", "1", "--precision", "float32", "-o", str(tmp_path / "run")]
    with files_of_at_most(size):
        assert run_command_line(app, tokens) == 2
    line = (
        rf"rtpolyp: .*/run/{file}: cannot be written \(File too large\)\. Free space or choose another -o\n"
    )
    assert re.fullmatch(line, capsys.readouterr().err)
    assert not list((tmp_path / "run").glob("*.pt*"))


def test_a_missing_option_is_one_line_and_exit_code_2(capsys):
    assert run_command_line(app, ["--net", "pranet-if"]) == 2
    assert re.fullmatch(r"rtpolyp: .*--data.* requires an argument\.\n", capsys.readouterr().err)


def test_options_reach_the_run(data, tmp_path, capsys):
    out = tmp_path / "run"
    options = ("--steps", "2", "--zoom", "0.9", "1.1", "--loss", "structure", "--validate-every", "1")
    assert run_command_line(app, [*TINY, "--data", data, "-o", str(out), *options]) == 0
    recipe = load_checkpoint(out / "best.pt").recipe
    assert (recipe.steps, recipe.batch, recipe.sizes) == (2, 2, ((64, 1.0),))
    assert (recipe.zoom, recipe.loss, recipe.validate_every) == ((0.9, 1.1), "structure", 1)
    assert recipe.blur == 0.2  # not given: the network's own
    assert "Best validation, step" in capsys.readouterr().err


def test_progressive_sizes_are_pairs(data, tmp_path):
    out = tmp_path / "run"
    tokens = [*TINY[:-3], "--sizes", "64", "0.5", "96", "0.5", "--steps", "2", "--data", data, "-o", str(out)]
    assert run_command_line(app, tokens) == 0
    assert load_checkpoint(out / "last.pt").recipe.sizes == ((64, 0.5), (96, 0.5))


def test_weights_beside_the_data_are_found(data, tmp_path, capsys):
    (tmp_path / "weights" / "mobilenetv2_imagenet").mkdir(parents=True)
    tokens = ["--net", "pranet-if", "--encoder", "mobilenetv2", "--data", data, "-o", str(tmp_path / "run")]
    assert run_command_line(app, tokens) == 2
    assert "weights/mobilenetv2_imagenet: 0 conv_*_weight.npy" in capsys.readouterr().err


def test_help_explains_every_option(capsys):
    assert run_command_line(app, ["--help"]) == 0
    output = capsys.readouterr().out
    for word in ("--net", "--resume", "--polyp-free-crops", "Run folder", "largest gradient norm"):
        assert word in output


def test_sigterm_saves_first_and_the_run_goes_on(data, tmp_path):
    out = tmp_path / "run"
    tokens = [
        "--net", "pranet-if", "--encoder", "mobilenetv2", "--random-init", "--data", data, "-o", str(out),
        "--batch", "2", "--sizes", "64", "1", "--steps", "24", "--validate-every", "4",
    ]  # fmt: skip
    command = [sys.executable, "-m", "train", *tokens]
    with subprocess.Popen(
        command, cwd=ROOT, stderr=subprocess.PIPE, text=True, env={**os.environ, "COLUMNS": "200"}
    ) as process:
        deadline = time.monotonic() + START_SECONDS
        while not (out / "best.pt").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        _, error = process.communicate(timeout=STOP_SECONDS)
    assert process.returncode == 130, error
    assert re.search(r"stopped by signal at step \d+; .*last\.pt is saved, --resume goes on\n$", error)
    assert "Traceback" not in error
    step = load_checkpoint(out / "last.pt").step
    assert 4 <= step < 24

    assert run_command_line(app, [*tokens, "--resume"]) == 0
    assert load_checkpoint(out / "last.pt").step == 24
