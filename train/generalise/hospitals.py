"""The hospitals of the public data, and folds that leave one of them out.

What may decide what: the train parts of the other hospitals make the weights, their val parts choose the
checkpoint and the operating point, and the one left out only scores. While ingredients are screened it scores
with its train and val parts; its test part joins in the full protocol, when nothing is left to choose. One
hospital stays sealed: no fold trains on it, and it is scored once, with the final recipe.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import Pair
from train.data import Source

__all__ = ["HOSPITALS", "SEALED", "Fold", "fold_of"]


def _of_polypgen(family: str) -> tuple[tuple[str, str, str], ...]:
    """A family that has frames without a polyp, too."""
    return tuple(("extra/polypgen", split, family) for split in ("polypgen", "negatives"))


NORMAL = "extra/hyperkvasir-negatives"  # frames without a polyp, of Kvasir's hospital
# hospital → its data sets: folder below the data, split, and family of its file names (extra/groups.csv)
# where several hospitals share a folder
HOSPITALS = {
    "kvasir-seg": (("kvasir-seg", "paper80-10-10", ""), (NORMAL, "hyperkvasir-negatives", "")),
    "cvc-612": (("cvc-612", "sequence80-10-10", ""),),
    "bkai": (("extra/bkai-neopolyp", "bkai-neopolyp", "bkai"),),
    "polypgen-C3": (("extra/polypgen", "polypgen", "polypgen-C3"),),
    "polypgen-endocv": (("extra/polypgen", "polypgen", "polypgen-endocv"),),
    "polypgen-numbered": _of_polypgen("polypgen-numbered"),
    "polypgen-olcv": _of_polypgen("polypgen-olcv"),
}
SEALED = "polypgen-olcv"


@dataclass(frozen=True)
class FamilySource(Source):
    """The frames of one family, where a folder and its splits hold several."""

    family: str

    @property
    def name(self) -> str:
        """Family and split."""
        return f"{self.family}:{self.split}"

    def pairs(self, part: str) -> list[Pair]:
        """The family's frames of `part`."""
        return [pair for pair in super().pairs(part) if pair.family == self.family]


@dataclass(frozen=True)
class Fold:
    """One hospital left out."""

    left_out: str  # key of HOSPITALS, or "" where none is
    sources: tuple[Source, ...]  # to train and to choose on
    normal: tuple[Source, ...]  # NORMAL, unless left out: to choose on, and for some recipes to train on
    held_out: tuple[Source, ...]  # the hospital left out

    @property
    def chosen_on(self) -> tuple[Source, ...]:
        """What an operating point is chosen on."""
        return (*self.sources, *self.normal)

    def scored(self, parts: Sequence[str]) -> list[Pair]:
        """The left-out hospital's frames of these parts."""
        return [pair for source in self.held_out for part in parts for pair in source.pairs(part)]


def fold_of(left_out: str, data: Path, *, unseal: bool = False) -> Fold:
    """The fold that leaves this hospital out; `data` holds the folders of HOSPITALS.

    Raises InputError for an unknown hospital, and for the sealed one unless `unseal`.
    """
    if left_out and left_out not in HOSPITALS:
        raise InputError(f"fold {left_out!r} is unknown; {known_names(left_out, HOSPITALS)}")
    if left_out == SEALED and not unseal:
        raise InputError(f"fold {SEALED}: sealed while recipes are chosen. Score it once: full --unseal")
    kept = [name for name in HOSPITALS if name not in (left_out, SEALED)]
    sources = tuple(source for name in kept for source in _sources(name, data))
    normal = tuple(source for source in sources if source.folder == (data / NORMAL).resolve())
    others = tuple(source for source in sources if source not in normal)
    return Fold(left_out, others, normal, _sources(left_out, data) if left_out else ())


def _sources(hospital: str, data: Path) -> tuple[Source, ...]:
    sources = []
    for path, split, family in HOSPITALS[hospital]:
        folder = (data / path).resolve()
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder. Give --data the folder that holds {path}")
        sources.append(FamilySource(folder, split, family) if family else Source(folder, split))
    return tuple(sources)
