"""The queue of the paper's table: its order, its pairs, and two tiny pairs run through it."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from train.batches import Batches
from train.checkpoint import load_checkpoint
from train.data import parse_source
from train.experiment.start import Start
from train.experiment.training import Machine
from train.optimisation import Numerics
from train.recipe import Recipe
from train.table.cells import Cell
from train.table.design import ABLATED, KVASIR, RANDOM, SEEDS, SEQUENCE, designed_cells
from train.table.number_format import FLOAT32
from train.table.paper import ARMS, ROWS
from train.table.plan import arms_of
from train.table.run import run_cells
from train.trainer import Trainer

DATA = Path("/data")


def in_float32(cell: Cell) -> Numerics:
    return FLOAT32


TINY = Recipe(steps=3, batch=2, sizes=((64, 1.0),), validate_every=3, lr_decoder=2e-2, lr_encoder=2e-2)


def test_the_queue_has_its_128_cells():
    cells = designed_cells(DATA)
    assert len({cell.name for cell in cells}) == len(cells) == 128
    counts = Counter((cell.sources[0].name, cell.row, cell.arm) for cell in cells)
    pairs = {(test, row, arm): seeds for test, seeds in SEEDS.items() for row in ROWS for arm in ARMS}
    ablations = {(KVASIR, row, arm): 3 for row in ABLATED for arm in ("sum", "weights", "wide")}
    assert counts == pairs | ablations


def test_pairs_come_whole_and_every_round_is_balanced_over_the_networks():
    cells = [cell for cell in designed_cells(DATA) if cell.arm in ARMS]
    for plain, fused in zip(cells[::2], cells[1::2], strict=True):
        assert (plain.arm, fused.arm) == ARMS
        assert (plain.row, plain.sources, plain.recipe) == (fused.row, fused.sources, fused.recipe)
    for start in range(0, len(cells), 10):
        assert [cell.row for cell in cells[start : start + 10 : 2]] == list(ROWS)
        assert len({(cell.sources, cell.recipe.seed) for cell in cells[start : start + 10]}) == 1


def test_what_may_be_cut_comes_last():
    tests = [cell.sources[0].name for cell in designed_cells(DATA)]
    assert set(tests[-30:]) == {SEQUENCE}
    assert SEQUENCE not in tests[:-30]
    assert set(tests[:40]) == {KVASIR, RANDOM}  # early enough to see both


def test_all_cells_share_one_recipe():
    cells = designed_cells(DATA)
    assert {cell.spec.encoder for cell in cells} == {"efficientnet-lite0"}
    assert len({replace(cell.recipe, seed=0) for cell in cells}) == 1
    recipe = cells[0].recipe
    assert (recipe.steps, recipe.batch, recipe.sizes) == (500, 16, ((192, 1.0),))


@pytest.fixture
def tiny_pair(clinic) -> list[Cell]:
    source = parse_source(f"{clinic}:half")
    return [
        Cell("paper", "fcn", arm, spec, TINY, (source,), Start(random=True))
        for arm, spec in arms_of("fcn", "tiny").items()
    ]


def test_both_arms_see_the_same_batches_and_begin_with_the_same_shared_weights(
    tiny_pair, tmp_path, monkeypatch
):
    draw, init = Batches.draw, Trainer.__init__
    batches, begun = [], []

    def watched_draw(self, step):
        batches.append(draw(self, step))
        return batches[-1]

    def watched_init(self, network, *args, **kwargs):
        begun.append({name: weight.clone() for name, weight in network.state_dict().items()})
        init(self, network, *args, **kwargs)

    monkeypatch.setattr(Batches, "draw", watched_draw)
    monkeypatch.setattr(Trainer, "__init__", watched_init)
    run_cells(
        tiny_pair, tmp_path / "results", tmp_path / "runs", Machine(), None, numerics_of=lambda cell: FLOAT32
    )
    assert len(batches) == 6
    for plain, fused in zip(batches[:3], batches[3:], strict=True):
        assert torch.equal(plain[0], fused[0])  # frames, crops and colours
        assert torch.equal(plain[1], fused[1])
    assert not torch.equal(batches[0][0], batches[1][0])
    plain, fused = begun
    shared = plain.keys() & fused.keys()
    assert {name.split(".")[0] for name in shared} == {"encoder"}
    assert all(torch.equal(plain[name], fused[name]) for name in shared)


def test_results_are_small_and_lie_apart_from_the_runs(tiny_pair, tmp_path):
    results, runs = tmp_path / "results", tmp_path / "runs"
    run_cells(tiny_pair, results, runs, Machine(), None, numerics_of=in_float32)
    files = sorted(str(file.relative_to(results)) for file in results.rglob("*") if file.is_file())
    assert files == [
        f"{cell.name}/{name}" for cell in reversed(tiny_pair) for name in ("cell.json", "clinic.half.csv")
    ]
    assert all((results / file).stat().st_size < 3000 for file in files)
    cell = json.loads((results / files[0]).read_text())
    assert cell["numerics"] == {"channels_last": True, "bfloat16": False, "float16": False}
    assert load_checkpoint(runs / tiny_pair[1].name / "weights.pt").step == cell["scored_step"] == 3
