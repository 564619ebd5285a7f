"""Labels of a data set: a folder with images/ and masks/."""

from pathlib import Path

from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.mask_outline import trace_regions
from rtpolyp.labels.model import LabelledFrame, Labels, Region
from rtpolyp.measure.dataset import load_pairs

__all__ = ["read_mask_folder"]


def read_mask_folder(folder: Path, split: str | None = None) -> tuple[Labels, dict[str, Path]]:
    """The regions of a data set's masks, and the file of each picture by its name in the labels.

    `split` chooses frames, see `rtpolyp.measure.dataset.load_pairs`. Raises InputError for what is no data
    set, and for masks that cannot be read.
    """
    pairs = load_pairs(folder, split)
    frames = []
    for index, pair in enumerate(pairs):
        mask = read_mask(pair.mask)
        regions = tuple(Region(outline) for outline in trace_regions(mask))
        frames.append(LabelledFrame(index, pair.image.name, (mask.shape[1], mask.shape[0]), regions))
    files = {pair.image.name: pair.image for pair in pairs}
    return Labels(folder.resolve().name, False, tuple(frames)), files
