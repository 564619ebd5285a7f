"""docs/own-data.md, command by command: on a small folder, with two steps and a small network."""

import importlib.util
import re
import shlex
from pathlib import Path

import cv2
import pytest
import torch
from torch.nn.functional import avg_pool2d

import rtpolyp.cli
import train.__main__ as training
import train.export.__main__ as exporting
import train.networks
import train.prepare.__main__ as preparing
import train.second_look.__main__ as looking
from tests.runtime.clips import Clip, make_clip
from tests.train.conftest import RednessNet, frame_with, write_data_set
from train.checkpoint import Checkpoint, save_checkpoint
from train.command_line import run_command_line
from train.data import TrainingFile
from train.networks import NetworkSpec
from train.networks.layers import resize
from train.networks.second_look import LooksTwice
from train.optimisation import Numerics
from train.recipe import RECIPES, Recipe

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "own-data.md"

# what the document says → what makes it small; an option that it no longer has fails the test
SMALL = {
    "python -m train.prepare": {"--val": ["0.3"], "--test": ["0.3"]},
    "python -m train": {
        "--net": ["redness"],
        "--init": ["shipped.pt"],
        "--sizes": ["64", "1"],
        "--steps": ["2"],
        "--lr-encoder": ["1e-6"],
        "--lr-decoder": ["1e-6"],
        "--validate-every": ["1"],
    },
    "python -m train.second_look": {},
    "python -m train.export": {},
    "rtpolyp eval": {},
    "rtpolyp compare": {},
    "rtpolyp run": {},
}
APPS = {
    "python -m train.prepare": preparing.app,
    "python -m train": training.app,
    "python -m train.second_look": looking.app,
    "python -m train.export": exporting.app,
}


class TrainableRedness(LooksTwice, RednessNet):
    """Redness with something to look at twice: the first features, at stride 8."""

    def __init__(self) -> None:
        super().__init__()
        self.second_look = None

    def evidence_channels(self) -> list[int]:
        return [16]

    def evidence(self, images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        first = self.stem(images)
        logits = self.head(torch.relu(self.body(torch.relu(self.norm(first)))))
        return resize(logits, images.shape[-2:]), [avg_pool2d(first, 4)]

    def forward(self, images: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        return (self.evidence(images)[0],) if self.training else self.looked(images)

    def fold(self) -> None:
        pass


def commands() -> list[tuple[str, list[str]]]:
    """(program, arguments) of every command in the document, in order."""
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    found = []
    for tokens in map(shlex.split, lines):
        words = 3 if tokens[0] == "python" else 2
        found.append((" ".join(tokens[:words]), tokens[words:]))
    return found


def made_small(program: str, tokens: list[str]) -> list[str]:
    tokens = list(tokens)
    for option, values in SMALL[program].items():
        at = tokens.index(option) + 1
        tokens[at : at + len(values)] = values
    return tokens


def run(program: str, tokens: list[str]) -> int:
    if program in APPS:
        return run_command_line(APPS[program], tokens)
    return rtpolyp.cli.run_command_line([program.removeprefix("rtpolyp "), *tokens])


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the commands run: the clinic and its normal frames lie beside it, and what stands for the shipped
    bundle in it."""
    monkeypatch.setitem(train.networks.NETWORKS, "redness", lambda spec, encoder: TrainableRedness())
    monkeypatch.setitem(RECIPES["ours"], "redness", Recipe(batch=2))
    clinic = write_data_set(tmp_path / "clinic", frames=24)
    normal = tmp_path / "normal" / "images"
    normal.mkdir(parents=True)
    for index in range(16):  # something red, and no polyp
        cv2.imwrite(str(normal / f"n{index:02}.png"), frame_with([(3 * index, 4, 30)], (96, 80), index))
    for folder in (clinic, normal.parent):
        names = sorted(path.name for path in (folder / "images").iterdir())
        rows = [f"{name},patient {index // 2}" for index, name in enumerate(names)]
        (folder / "groups.csv").write_text("\n".join(["file,patient", *rows]))
    make_clip(clinic / "video.mp4", Clip(size=(320, 256), frames=3))
    folder = tmp_path / "checkout"
    folder.mkdir()
    monkeypatch.chdir(folder)
    network = TrainableRedness()
    mean, std = network.encoder.mean, network.encoder.std
    seen = (TrainingFile("elsewhere:all", "a.jpg", "0" * 64),)
    spec, numerics = NetworkSpec("redness"), Numerics(channels_last=False, bfloat16=False)
    shipped = Checkpoint(spec, Recipe(), numerics, 7, network.state_dict(), mean, std, seen, (), 0.9)
    save_checkpoint(folder / "shipped.pt", shipped)
    return folder


def test_every_command_of_the_document_runs(checkout, capsys):
    programs = [program for program, _ in commands()]
    assert set(programs) == set(SMALL)
    for program, tokens in commands():
        assert run(program, made_small(program, tokens)) == 0, capsys.readouterr().err
    output = capsys.readouterr().out
    assert "24 images: 18 with a polyp, 6 without" in output
    assert "16 images: 0 with a polyp, 16 without" in output
    assert re.search(r"and [1-9]\d* on train frames without a polyp that are new to the network", output)
    assert "frames with a polyp in" in output  # the comparison
    assert len(list((checkout / "engines" / "clinic").iterdir())) == 6
    assert (checkout / "after.json").is_file()


def test_the_shipped_network_takes_a_second_look_at_data_that_it_was_not_trained_on(checkout, capsys):
    """As the document says of those who leave the fine-tuning out."""
    for program, tokens in commands():
        if program == "python -m train.prepare":
            assert run(program, made_small(program, tokens)) == 0, capsys.readouterr().err
    look = ["shipped.pt", "--data", "../clinic-own:own", "--data", "../normal-own:own-negatives"]
    out = ["--size", "64", "-o", "looked.pt"]
    assert run("python -m train.second_look", [*look, *out]) == 0, capsys.readouterr().err
    export = ["--checkpoint", "looked.pt", "--name", "quiet", "--size", "64", "-o", "engines/quiet"]
    fewer = ["--data", "../clinic-own:own"]
    assert run("python -m train.export", [*export, *fewer]) == 2
    assert (
        "its second look was fitted to clinic-own:own, normal-own:own-negatives, not clinic-own:own; give"
        in (capsys.readouterr().err)
    )
    assert run("python -m train.export", export) == 0, capsys.readouterr().err


def test_a_command_with_a_wrong_option_fails(checkout, capsys):
    program, tokens = commands()[0]
    assert run(program, [*tokens, "--groups", "x"]) == 2
    assert "--groups" in capsys.readouterr().err


def test_the_example_that_fine_tunes_runs_the_same_commands(checkout, monkeypatch, capsys):
    path = DOCUMENT.parents[1] / "examples" / "fine_tune.py"
    example = importlib.util.module_from_spec(importlib.util.spec_from_file_location("fine_tune", path))
    example.__spec__.loader.exec_module(example)

    def train_small(module: str, *arguments: object) -> None:
        program = f"python -m {module}"
        options = {name: values for name, values in SMALL[program].items() if name != "--validate-every"}
        tokens = [str(argument) for argument in arguments]
        for option, values in options.items():
            at = tokens.index(option) + 1
            tokens[at : at + len(values)] = values
        assert run(program, tokens) == 0, capsys.readouterr().err

    monkeypatch.setattr(example, "train", train_small)
    example.main("../clinic", "work", "2", "64")
    assert re.search(r"<Result of \w+: \d+x\d+, ", capsys.readouterr().out)
    assert (checkout / "work" / "bundle" / "spec.json").is_file()
