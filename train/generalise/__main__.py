"""`python -m train.generalise`: does a recipe travel to hospitals that it was not trained on?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from rtpolyp.errors import InputError
from rtpolyp.terminal.command_line import make_app
from train.command_line import run_program
from train.experiment.start import Start
from train.experiment.torch_engine import engine_of
from train.experiment.training import Machine
from train.generalise.hospitals import SEALED, fold_of
from train.generalise.mining import mine
from train.generalise.plan import FULL_FOLDS, SCREEN_FOLDS, Setup, full_cells, screen_cells
from train.generalise.report import write_report
from train.generalise.results import kept, read_arms
from train.generalise.run import run_cells
from train.hard_crops import write_hard_crops
from train.initial import load_initial
from train.networks import NetworkSpec
from train.overrides import Overrides, given

app = make_app("python -m train.generalise", __doc__)
Names = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")]
Out = Annotated[Path, Parameter(name=["--out", "-o"])]


@Parameter(name="*")
@dataclass(frozen=True)
class Options:
    """What both stages take."""

    net: str = "pranet-if"
    "Network of all cells."
    encoder: str | None = None
    "Its backbone; default: the network's."
    random_init: Annotated[bool, Parameter(negative="")] = False
    "Start the encoder from random weights."
    teachers: Names = ()
    "Recipes of finished cells that what is taught learns from, of the same stage, fold and seed."
    budget_minutes: float | None = None
    "Stop after so many minutes; the same command goes on."
    save_minutes: float = 5.0
    "Minutes between checkpoints."
    device: str = "cpu"
    "Where to train: cpu, cuda, cuda:1 …"
    precision: str | None = None
    "float32, bfloat16 or, on CUDA, float16; default: the fastest here, measured once."

    def setup(self, data: Path, overrides: Overrides) -> Setup:
        """What the cells share."""
        spec = NetworkSpec(self.net, self.encoder)
        return Setup(data, spec, Start(self.random_init), given(overrides), self.teachers)

    def machine(self) -> Machine:
        """Where they are trained."""
        return Machine(self.device, self.precision, save_minutes=self.save_minutes)


SEAL_LOG = Path("docs/results/unsealed.csv")


@app.command
def screen(
    *,
    data: Path,
    out: Out,
    ingredient: Names = (),
    fold: Names = SCREEN_FOLDS,
    options: Options = Options(),
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008 – frozen
) -> None:
    """Train the baseline and each ingredient briefly, one seed, and say what to keep.

    Parameters
    ----------
    data
        The folder of the data sets: it holds kvasir-seg, cvc-612 and extra.
    out
        The table, and a run folder for each cell; the same command goes on.
    ingredient
        Names of what to try, each alone.
    fold
        Hospitals that are left out, one at a time.
    """
    cells = screen_cells(options.setup(data, overrides), ingredient, fold)
    run_cells(cells, out, options.machine(), options.budget_minutes, SEAL_LOG)


@app.command
def full(
    *,
    data: Path,
    out: Out,
    recipe: Names = ("baseline", "final"),
    ingredient: Names = (),
    fold: Names = (),
    seeds: int = 2,
    unseal: Annotated[bool, Parameter(negative="")] = False,
    seal_log: Path = SEAL_LOG,
    options: Options = Options(),
    overrides: Annotated[Overrides, Parameter(name="*")] = Overrides(),  # noqa: B008 – frozen
) -> None:
    """Train the baseline and the final recipe at full length, without each hospital in turn.

    Parameters
    ----------
    data
        The folder of the data sets: it holds kvasir-seg, cvc-612 and extra.
    out
        The folder of the screening: it has the table, and a run folder for each cell.
    recipe
        baseline, final or both.
    ingredient
        What the final recipe adds to the baseline; default: what the screening in --out kept.
    fold
        Hospitals that are left out, one at a time; default: all, but for the sealed one without --unseal.
    seeds
        Trainings of each recipe and fold, from --seed upwards.
    unseal
        Score the sealed hospital, too; each recipe and seed once.
    seal_log
        Where that is written down.
    """
    final = ingredient or kept(read_arms(out))
    folds = fold or (*FULL_FOLDS, *([SEALED] if unseal else []))
    cells = full_cells(options.setup(data, overrides), recipe, final, folds, seeds, unseal)
    run_cells(cells, out, options.machine(), options.budget_minutes, seal_log)


@app.command
def report(*, out: Out) -> None:
    """Write the table of the finished cells again.

    Parameters
    ----------
    out
        The folder of the cells.
    """
    arms = read_arms(out)
    if not arms:
        raise InputError(f"{out}: no finished cell in it. Run screen or full first")
    write_report(arms, out)


@app.command(name="mine")
def mine_crops(
    *, checkpoint: str, data: Path, out: Out, fold: str = "", seed: int = 0, device: str = "cpu"
) -> None:
    """Write the polyp-free crops of train parts in which a network sees a polyp, for --hard-crop-list.

    Parameters
    ----------
    checkpoint
        best.pt of a run on the same data, or a bundle: a folder, or the name of a shipped one.
    data
        The folder of the data sets.
    out
        CSV file to write.
    fold
        Hospital that is left out; default: none but the sealed one.
    seed
        Decides where crops are cut.
    device
        Where to compute.
    """
    with engine_of(load_initial(checkpoint), device) as engine:
        write_hard_crops(mine(engine, fold_of(fold, data).sources, seed), out)


if __name__ == "__main__":
    run_program(app)
