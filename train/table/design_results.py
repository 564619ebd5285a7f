"""The finished cells of the design, by what they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtpolyp.measure.comparison import FrameFigures
from train.experiment.files import read_json
from train.table.cells import SCHEMA, Cell, csv_name, is_finished
from train.table.design import designed_cells
from train.table.gains import Pairs, Pooled, pair_up, pool
from train.table.number_format import finished_format
from train.table.paper import ARMS, ROWS
from train.table.rows import read_rows

__all__ = ["DesignResults", "Scored", "read_design"]


@dataclass(frozen=True)
class Scored:
    """One finished cell."""

    content: dict[str, Any]  # of cell.json
    figures: FrameFigures


@dataclass(frozen=True)
class DesignResults:
    """All cells of the design, and the scores of those that are finished."""

    cells: Sequence[Cell]
    scored: dict[tuple[str, str, str], dict[int, Scored]]  # test part, row, arm → seed → scores

    @property
    def finished(self) -> int:
        """How many cells are."""
        return sum(map(len, self.scored.values()))

    def of(self, cell: Cell) -> Scored | None:
        """The scores of a cell; None where it is not finished."""
        return self.seeds(cell.sources[0].name, cell.row, cell.arm).get(cell.recipe.seed)

    def seeds(self, test: str, row: str, arm: str) -> dict[int, Scored]:
        """The finished seeds of an arm."""
        return self.scored.get((test, row, arm), {})

    def pairs(
        self, test: str, row: str, figure: str, ours: str = "IF", theirs: str = "plain"
    ) -> Pairs | None:
        """The finished pairs of two arms; None without one."""
        first, second = (
            {seed: scored.figures for seed, scored in self.seeds(test, row, arm).items()}
            for arm in (ours, theirs)
        )
        return pair_up(first, second, figure)

    def pooled(self, test: str, figure: str) -> Pooled | None:
        """The gain by IF over all networks that have pairs; None with too few."""
        networks = [self.pairs(test, row, figure, *reversed(ARMS)) for row in ROWS]
        return pool([pairs for pairs in networks if pairs])


def read_design(results: Path) -> DesignResults:
    """Read what is finished. Raises InputError for broken cells, other settings and mixed formats."""
    cells = designed_cells(Path("data"))  # names are enough
    scored: dict[tuple[str, str, str], dict[int, Scored]] = {}
    for cell in cells:
        if is_finished(cell, results):
            finished_format(cell, results)  # raises where those that are compared differ
            folder, test = results / cell.name, cell.sources[0].name
            content = read_json(folder / "cell.json", SCHEMA, "the scores of a cell")
            one = Scored(content, read_rows(folder / csv_name(test)))
            scored.setdefault((test, cell.row, cell.arm), {})[cell.recipe.seed] = one
    return DesignResults(cells, scored)
