"""Frames that many folds share, decoded once."""

from collections.abc import Sequence

import numpy as np

from train.data import Frames, Source, load_frames

__all__ = ["FrameStore"]

LIMIT = 1.5e9  # bytes kept; each fold holds a copy of its own, and one at a smaller size for a while


class FrameStore:
    """Loads as `train.data.load_frames` does, and keeps what fits for the next fold."""

    def __init__(self) -> None:
        self._kept: dict[tuple[Source, str, int, bool], Frames] = {}
        self._bytes = 0

    def load(self, sources: Sequence[Source], part: str, side: int, *, picture_crop: bool = False) -> Frames:
        """The frames of `part` of all sources; raises InputError as `load_frames` does."""
        pieces = [self._piece(source, part, side, picture_crop) for source in sources]
        index = [np.full(len(piece), position) for position, piece in enumerate(pieces)]
        return Frames(
            np.concatenate([piece.images for piece in pieces]),
            np.concatenate([piece.masks for piece in pieces]),
            np.concatenate(index),
            tuple(source.name for source in sources),
            tuple(file for piece in pieces for file in piece.files),
        )

    def _piece(self, source: Source, part: str, side: int, picture_crop: bool) -> Frames:
        key = (source, part, side, picture_crop)
        if key not in self._kept:
            piece = load_frames([source], part, side, picture_crop=picture_crop)
            size = piece.images.nbytes + piece.masks.nbytes
            if self._bytes + size > LIMIT:
                return piece
            self._kept[key] = piece
            self._bytes += size
        return self._kept[key]
