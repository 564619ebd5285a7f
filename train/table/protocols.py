"""The two ways to divide the data and to score that the literature mixes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rtpolyp.errors import InputError
from rtpolyp.measure.dataset import Pair
from rtpolyp.measure.evaluation import FrameScore
from rtpolyp.spec import image_fingerprint
from train.data import Source

__all__ = ["PROTOCOLS", "Protocol", "check_test_is_unseen"]

WATCHED = 20  # one group of so many of the training list is held out, where there is no list for validation


@dataclass(frozen=True)
class WatchedSource(Source):
    """A source without a val list: every twentieth group of its train list is held out in its place."""

    def pairs(self, part: str) -> list[Pair]:
        """The frames of `part`, of which "train" and "val" share the train list."""
        if part == "test":
            return super().pairs(part)
        listed = super().pairs("train")
        held_out = set(list(dict.fromkeys(pair.group for pair in listed))[::WATCHED])
        return [pair for pair in listed if (pair.group in held_out) == (part == "val")]


@dataclass(frozen=True)
class Protocol:
    """How the data are divided and how a test part is scored."""

    columns: tuple[str, ...]  # the test parts of the literature: folder and split
    trains_jointly: bool  # one model on all sources, or one on each
    figures: Callable[[FrameScore], tuple[float, float]]  # Dice and IoU of a frame
    convention: str  # the two, in words

    def trainings(self, sources: Sequence[Source]) -> list[tuple[Source, ...]]:
        """What is trained on together. Raises InputError for a split of another protocol.

        PraNet's lists have no part for validation: the held-out twentieth only shows how the run goes.
        """
        if not self.trains_jointly:
            return [(source,) for source in sources]
        for source in sources:
            if source.has_part("val"):
                raise InputError(
                    f"{source.name}: has a val list, so this is no split of PraNet's protocol. Give "
                    f"{' and '.join(self.columns)}"
                )
        return [tuple(WatchedSource(source.folder, source.split) for source in sources)]


PROTOCOLS = {
    "paper": Protocol(
        ("kvasir-seg:paper80-10-10", "cvc-612:sequence80-10-10", "cvc-612:paper80-10-10"),
        trains_jointly=False,
        figures=lambda frame: (frame.half.dice, frame.half.iou),
        convention="per image at 0.5 and ground-truth size, mean over images",
    ),
    "pranet": Protocol(
        ("kvasir-seg:pranet900-100", "cvc-612:pranet550-62"),
        trains_jointly=True,
        figures=lambda frame: (frame.threshold_dice, frame.threshold_iou),
        convention="PraNet's: per-image min-max stretched, mean over images and 256 thresholds",
    ),
}


def check_test_is_unseen(sources: Sequence[Source]) -> None:
    """Raise InputError when a test image of any source is one to train or to choose on in any.

    Training refuses that too, but for its own data and hours later.
    """
    seen = {
        image_fingerprint(pair.image): f"{source.name}_{part}"
        for source in sources
        for part in ("train", "val")
        for pair in source.pairs(part)
    }
    for source in sources:
        images = {image_fingerprint(pair.image): pair.image for pair in source.pairs("test")}
        if leaked := sorted(images.keys() & seen.keys()):
            raise InputError(
                f"{images[leaked[0]]}: {len(leaked)} test images of {source.name} are also in "
                f"{seen[leaked[0]]}. Choose splits of one protocol"
            )
