"""No frame that a network is judged on may be one that it was trained on, in this run or an earlier one."""

from collections.abc import Iterable, Iterator, Sequence

from rtpolyp.errors import InputError
from rtpolyp.spec import sha256_of
from train.data import Source, TrainingFile

__all__ = ["check_groups", "check_unseen"]

PARTS = ("train", "val", "test")


def check_unseen(sources: Sequence[Source], files: Iterable[TrainingFile], whose: str) -> None:
    """Raise InputError when an image of a val or test part is, byte for byte, one of the training `files`.

    `whose` training files they are is for the message. A test part is optional.
    """
    seen = {file.sha256 for file in files}
    for source, part in _parts(sources, PARTS[1:]):
        leaked = [pair.image for pair in source.pairs(part) if sha256_of(pair.image) in seen]
        if leaked:
            raise InputError(
                f"{leaked[0]}: {len(leaked)} of the {part} images of {source.name} are training images of "
                f"{whose}. Choose other splits"
            )


def check_groups(sources: Sequence[Source]) -> None:
    """Raise InputError when a group of a source of polyp-free frames has frames in two parts.

    Other sources may: published splits do, and what they are worth is the report's to say.
    """
    homes: dict[tuple[str, str], tuple[str, str]] = {}
    for source, part in _parts([source for source in sources if source.is_polyp_free], PARTS):
        for pair in source.pairs(part):
            other, name = homes.setdefault((source.name, pair.group), (part, pair.name))
            if other != part:
                raise InputError(
                    f"{pair.image}: its group {pair.group} has {name} in the {other} part of {source.name}, "
                    f"and this in the {part} part. Move one of them"
                )


def _parts(sources: Sequence[Source], parts: Sequence[str]) -> Iterator[tuple[Source, str]]:
    """Each source with each of its parts, of which "test" is optional."""
    for source in sources:
        for part in parts:
            if part != "test" or source.has_part(part):
                yield source, part
