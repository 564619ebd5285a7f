"""No frame that a network is judged on may be one that it was trained on, in this run or an earlier one."""

from collections.abc import Iterable, Sequence

from rtpolyp.errors import InputError
from rtpolyp.spec import sha256_of
from train.data import Source, TrainingFile

__all__ = ["check_unseen"]


def check_unseen(sources: Sequence[Source], files: Iterable[TrainingFile], whose: str) -> None:
    """Raise InputError when an image of a val or test part is, byte for byte, one of the training `files`.

    `whose` training files they are is for the message. A test part is optional.
    """
    seen = {file.sha256 for file in files}
    parts = [(source, part) for source in sources for part in ("val", "test")]
    for source, part in parts:
        if part == "test" and not source.has_part(part):
            continue
        leaked = [pair.image for pair in source.pairs(part) if sha256_of(pair.image) in seen]
        if leaked:
            raise InputError(
                f"{leaked[0]}: {len(leaked)} of the {part} images of {source.name} are training images of "
                f"{whose}. Choose other splits"
            )
