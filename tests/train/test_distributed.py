"""Two processes on one batch end where one process does, and stop together."""

import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from rtpolyp.errors import InputError
from tests.train.polyps import write_polyps
from train.__main__ import app
from train.checkpoint import Checkpoint, load_checkpoint
from train.command_line import run_command_line
from train.distributed import World
from train.networks import NetworkSpec, create_network

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 600  # of all runs; generous, for a machine that does much else
# Without batch norm, whose statistics are those of a process. SGD, because Adam's first steps are the signs
# of the gradients, and rounding decides those of the smallest.
RUN = (
    "--net", "fcn", "--encoder", "mobilenetv2", "--random-init", "--optimiser", "sgd", "--lr-encoder", "1e-2",
    "--batch", "4", "--sizes", "64", "1", "--precision", "float32", "--steps", "5", "--validate-every", "4",
)  # fmt: skip
ROUNDING = 1e-5  # sums in another order
# `python -m train` four times: to the end; with a SIGTERM to rank 1 after step 2; that one resumed; and with
# a loss that is no number on rank 1
WORKER = """
import os, shutil, signal, sys, torch, train.loop
from train.__main__ import app
from train.command_line import run_command_line
from train.losses import LOSSES

class Kept(train.loop.Trainer):
    def advance(self):
        super().advance()
        Kept.network = self.network
        if self.world.rank == 1 and self.step == Kept.signalled:
            signal.raise_signal(signal.SIGTERM)

train.loop.Trainer, rank = Kept, os.environ["RANK"]
out, *tokens = sys.argv[1:]
Kept.signalled = None
assert run_command_line(app, [*tokens, "-o", f"{out}/two"]) == 0
torch.save(Kept.network.state_dict(), f"{out}/rank{rank}.pt")
Kept.signalled = 2
assert run_command_line(app, [*tokens, "-o", f"{out}/stopped"]) == 130
Kept.signalled = None
if rank == "0":
    shutil.copytree(f"{out}/stopped", f"{out}/resumed")
assert run_command_line(app, [*tokens, "-o", f"{out}/resumed", "--resume"]) == 0
if rank == "1":
    LOSSES["bce-dice"] = lambda logits, target: logits.mean() * float("nan")
assert run_command_line(app, [*tokens, "-o", f"{out}/nan"]) == 2
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"{write_polyps(tmp_path_factory.mktemp('data') / 'clinic', polyp_free=1)}:half"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, data: str) -> Iterator[tuple[Path, str]]:
    """The folder with "two", "stopped", "resumed" and, of one process, "one"; and what the two have said."""
    out = tmp_path_factory.mktemp("runs")
    (out / "worker.py").write_text(WORKER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    result = subprocess.run(
        [*torchrun, str(out / "worker.py"), str(out), *RUN, "--data", data],
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert run_command_line(app, [*RUN, "--data", data, "-o", str(out / "one")]) == 0
    return out, result.stderr


def assert_close(one: Checkpoint, other: Checkpoint) -> None:
    """The same run but for rounding, whose steps moved the weights much further."""
    torch.manual_seed(0)
    start = create_network(NetworkSpec("fcn", "mobilenetv2"), pretrained=False).state_dict()
    assert max((one.model[name] - start[name]).abs().max() for name in start) > 100 * ROUNDING
    assert one.step == other.step
    for name in start:
        torch.testing.assert_close(other.model[name], one.model[name], rtol=0, atol=ROUNDING)
        torch.testing.assert_close(other.ema[name], one.ema[name], rtol=0, atol=ROUNDING)


def test_two_processes_end_in_the_weights_of_one(runs):
    out, _ = runs
    two = load_checkpoint(out / "two" / "last.pt")
    for rank in (0, 1):
        weights = torch.load(out / f"rank{rank}.pt", weights_only=True)
        assert all(torch.equal(weights[name], two.model[name]) for name in two.model)
    assert_close(load_checkpoint(out / "one" / "last.pt"), two)


def test_the_first_process_alone_tells_and_writes(runs):
    out, said = runs
    lines = ("training with", "step 4/5", "step 5/5", "all 5 steps done")
    assert [said.count(line) for line in lines] == [4, 2, 2, 2], said  # of four runs
    one, two = (losses(out / name / "train.csv") for name in ("one", "two"))
    assert two == pytest.approx(one, rel=1e-4)  # of the whole batch, not of a share


def losses(file: Path) -> list[float]:
    with file.open(newline="") as stream:
        return [float(row["loss"]) for row in csv.DictReader(stream)]


def test_a_signal_to_one_process_saves_and_stops_both_and_either_number_goes_on(runs, data):
    out, said = runs
    last = out / "stopped" / "last.pt"
    assert said.count(f"stopped by signal at step 4; {last} is saved, --resume goes on") == 1
    assert load_checkpoint(last).step == 4  # where both look up, after the signal
    assert run_command_line(app, [*RUN, "--data", data, "-o", str(last.parent), "--resume"]) == 0
    for name in ("stopped", "resumed"):
        assert_close(load_checkpoint(out / "one" / "last.pt"), load_checkpoint(out / name / "last.pt"))


def test_a_loss_that_is_no_number_on_one_process_stops_both(runs):
    out, said = runs
    # up to its end, not its line's: the second may come between the first and its newline
    errors = [
        error.group() for error in re.finditer(r"rtpolyp: step 1: loss nan .*?; nothing was saved yet", said)
    ]
    assert len(errors) == 2
    assert errors[0] == errors[1]
    assert re.search(r" check: (train\d\.jpg, ){3}train\d\.jpg;", errors[0])
    assert not list((out / "nan").glob("*.pt"))


def test_one_process_alone_has_all_and_agrees_with_itself():
    world = World()
    batch = torch.arange(6.0)
    assert torch.equal(world.share(batch), batch)
    assert torch.equal(world.mean(batch), batch)
    assert world.images(3) == 3
    assert world.any(True)
    assert not world.any(False)
    assert world.agree("numerics") == world.on_first(str, "numerics") == "numerics"
    network = torch.nn.Linear(1, 1)
    assert world.parallel(network) is network


def test_shares_are_contiguous_and_equal():
    shares = [World(rank, 3).share(torch.arange(12)).tolist() for rank in range(3)]
    assert shares == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert World(0, 3).images(12) == 4


@pytest.mark.parametrize("batch", [16, 3])
def test_a_batch_that_cannot_be_shared_fails(batch):
    with pytest.raises(
        InputError, match=rf"batch: {batch} images .* by 3 processes\. Give a multiple of 3, at least 6"
    ):
        World(0, 3).images(batch)


def test_one_device_for_several_processes_fails():
    with pytest.raises(InputError, match=r"device 'cuda:1': each of 2 processes takes its own\. Give cuda"):
        World(0, 2).device("cuda:1")


def test_an_error_of_the_first_process_is_raised():
    def fail() -> None:
        raise InputError("clinic: no images")

    with pytest.raises(InputError, match="clinic: no images"):
        World().on_first(fail)
