"""The experiment that answers the paper's Table 1 on two cores; `docs/paper.md` states it before any run.

Nothing in this file changes while its cells are being run.
"""

from collections.abc import Iterator
from pathlib import Path

from train.data import Source
from train.experiment.start import Start
from train.networks import NetworkSpec
from train.recipe import Recipe
from train.table.cells import Cell
from train.table.paper import ROWS
from train.table.plan import ablations_of, arms_of

__all__ = ["ABLATED", "PICTURES", "RECIPE", "RESULTS", "RUNS", "SEEDS", "TESTS", "designed_cells"]

RESULTS = Path("docs/results/paper")  # finished cells
RUNS = Path("runs/paper")  # what training needs
PICTURES = RUNS / "pictures"  # of the data sets' frames, so never committed
ENCODER = "efficientnet-lite0"
PROTOCOL = "paper"
# "ours" as it was when the design was written, word for word: that one may be tuned further
RECIPE = Recipe(
    steps=500, batch=16, sizes=((192, 1.0),), validate_every=250, sampling="square-root", loss="bce-dice",
    optimiser="adamw", lr_encoder=5e-4, lr_decoder=2e-3, schedule="one-cycle", warmup=0.1, lr_floor=1e-3,
    weight_decay=1e-2, clip=1.0, ema=0.998, polyp_free_frames=0.03, polyp_free_crops=0.09, crop_zoom=2.5,
    flip=0.5, quarter_turns=3, shift=0.1, zoom=(0.7, 1.4), stretch=0.1, rotation_degrees=20.0,
    brightness=0.25, contrast=0.25, saturation=0.25, hue_degrees=9.0, blur=0.2, noise=0.2, jpeg=0.25,
)  # fmt: skip

KVASIR, RANDOM, SEQUENCE = TESTS = (
    "kvasir-seg:paper80-10-10",
    "cvc-612:paper80-10-10",
    "cvc-612:sequence80-10-10",
)
SEEDS = {KVASIR: 5, RANDOM: 3, SEQUENCE: 3}
ABLATED = ("unet", "pranet")  # on KVASIR
ABLATION_SEEDS = 3
ABLATIONS = "ablations"

# Every round is one seed of all five networks, or of all ablations, so that what is finished is balanced
# whenever the queue is looked at; what may be cut comes last.
ROUNDS = (
    (KVASIR, 0), (KVASIR, 1), (KVASIR, 2), (RANDOM, 0), (ABLATIONS, 0), (KVASIR, 3), (RANDOM, 1),
    (ABLATIONS, 1), (KVASIR, 4), (RANDOM, 2), (ABLATIONS, 2), (SEQUENCE, 0), (SEQUENCE, 1), (SEQUENCE, 2),
)  # fmt: skip


def designed_cells(data: Path) -> list[Cell]:
    """The 128 cells in the order of the queue; `data` holds the folders kvasir-seg and cvc-612."""
    return [cell for what, seed in ROUNDS for cell in _round(what, seed, data)]


def _round(what: str, seed: int, data: Path) -> Iterator[Cell]:
    test = KVASIR if what == ABLATIONS else what
    arms_by_row = (
        {row: ablations_of(row, ENCODER) for row in ABLATED}
        if what == ABLATIONS
        else {row: arms_of(row, ENCODER) for row in ROWS}
    )
    folder, split = test.split(":")
    source = Source((data / folder).resolve(), split)
    for row, arms in arms_by_row.items():
        for arm, spec in arms.items():
            yield _cell(row, arm, spec, source, seed)


def _cell(row: str, arm: str, spec: NetworkSpec, source: Source, seed: int) -> Cell:
    return Cell(PROTOCOL, row, arm, spec, RECIPE.changed(seed=seed), (source,), Start())
