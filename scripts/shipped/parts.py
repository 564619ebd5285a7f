"""The test parts that a shipped bundle is scored on, each once; nothing is ever chosen by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rtpolyp.checks import known_names
from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import Pair, load_pairs

__all__ = ["PRECISIONS", "TEST_PARTS", "Part", "chosen_parts"]


# The position box on the frames: left, painted on each, or cropped away, so that what lies right of it or
# above it is scored.
Box = Literal["as it is", "painted", "right", "above"]


@dataclass(frozen=True)
class Part:
    """A data set's frames that no network here was trained or chosen on."""

    folder: str  # of the data set, below the data's folder
    split: str
    crops: int  # polyp-free ones that are cut from its frames
    box: Box = "as it is"

    def pairs(self, data: Path) -> list[Pair]:
        """The frames; raises InputError where the data set is not below `data`."""
        return load_pairs(data / self.folder, self.split)


PRECISIONS = ("fp32", "int8")  # that a bundle's files hold, and that it is scored in
NORMAL = "extra/hyperkvasir-negatives"  # whole frames of polyp-free colon
TEST_PARTS = {
    "kvasir-test": Part("kvasir-seg", "paper80-10-10_test", 250),
    "cvc-sequence-test": Part("cvc-612", "sequence80-10-10_test", 200),
    "polypgen-test": Part("extra/polypgen", "polypgen_test", 200),
    "bkai-test": Part("extra/bkai-neopolyp", "bkai-neopolyp_test", 200),
    "negatives-test": Part("extra/polypgen", "negatives_test", 0),
    "normal-test": Part(NORMAL, "hyperkvasir-negatives_test", 0),
    "normal-right-of-box": Part(NORMAL, "hyperkvasir-negatives_test", 0, box="right"),
    "normal-above-box": Part(NORMAL, "hyperkvasir-negatives_test", 0, box="above"),
    "kvasir-box-painted": Part("kvasir-seg", "paper80-10-10_test", 0, box="painted"),
}


def chosen_parts(names: Sequence[str] | None) -> dict[str, Part]:
    """The parts of these names, or all, in TEST_PARTS' order; raises InputError for an unknown name."""
    if unknown := [name for name in names or () if name not in TEST_PARTS]:
        raise InputError(f"--part {unknown[0]!r} is unknown; {known_names(unknown[0], TEST_PARTS)}")
    return {name: part for name, part in TEST_PARTS.items() if not names or name in names}
