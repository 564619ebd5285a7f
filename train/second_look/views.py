"""The frames that a second look is fitted to, and the ways in which it meets each of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.measure.crops import crop_images, polyp_free_crops
from train.augmentation.boxes import cover, draw_boxes, uncover
from train.checkpoint import Checkpoint
from train.data import Frames, Source, load_frames
from train.export.degrade import as_recorded
from train.export.judgement import ENOUGH_FRAMES, MOST_CROPS
from train.position_box import find_box
from train.second_look.fit import folds_of

__all__ = ["held_out_of", "recorded", "unseen_of", "views_of"]

SEED = 0  # of the recorded frames' noise and of the painted boxes


def held_out_of(base: Checkpoint, sources: Sequence[Source], size: int) -> tuple[Frames, NDArray[np.int64]]:
    """The val parts' frames, and the fold of each, as `folds_of` divides their groups.

    Where fewer than ENOUGH_FRAMES are without a polyp, polyp-free crops of the others come after them, as
    when an operating point is chosen at the export.
    """
    frames = load_frames(sources, "val", size, picture_crop=base.recipe.picture_crop)
    pairs = [(source, pair) for source in sources for pair in source.pairs("val")]
    groups = [f"{source.folder} {pair.group}" for source, pair in pairs]  # one may lie in two of its splits
    folds = folds_of(groups)
    has_polyp = np.asarray(frames.masks.any(axis=(1, 2)))
    if not has_polyp.any() or np.count_nonzero(~has_polyp) >= ENOUGH_FRAMES:
        return frames, folds
    shown = {pair: place for place, (_, pair) in enumerate(pairs) if has_polyp[place]}
    crops = polyp_free_crops(list(shown), min(MOST_CROPS, len(shown)))
    places = [shown[crop.pair] for crop in crops]
    images = [resize_frame(image, (size, size))[..., ::-1] for _, image in crop_images(crops)]
    more = replace(
        frames,
        images=np.concatenate([frames.images, np.stack(images)]),
        masks=np.concatenate([frames.masks, np.zeros((len(crops), size, size), np.uint8)]),
        source_index=np.concatenate([frames.source_index, frames.source_index[places]]),
        files=(*frames.files, *(frames.files[place] for place in places)),
    )
    return more, np.concatenate([folds, folds[places]])


def unseen_of(base: Checkpoint, sources: Sequence[Source], size: int) -> Frames:
    """The train parts' frames without a polyp that the checkpoint has never been trained on."""
    sources = [source for source in sources if source.is_polyp_free]
    frames = load_frames(sources, "train", size, picture_crop=base.recipe.picture_crop)
    seen = {file.sha256 for file in base.seen}
    new = [place for place, file in enumerate(frames.files) if file.sha256 not in seen]
    return replace(
        frames,
        images=frames.images[new],
        masks=frames.masks[new],
        source_index=frames.source_index[new],
        files=tuple(frames.files[place] for place in new),
    )


def views_of(frames: Frames) -> tuple[Frames, ...]:
    """Six views of the frames, each of all of them.

    In two of the views, frames with a polyp have a position box painted on, and frames without one have lost
    theirs: so the box tells nothing.
    """
    taken = recorded(frames)
    return (
        frames,
        _mirrored(frames),
        taken,
        _mirrored(taken),
        _boxes_swapped(frames),
        _mirrored(_boxes_swapped(taken)),
    )


def _mirrored(frames: Frames) -> Frames:
    """The frames as a mirror shows them, left for right."""
    return replace(frames, images=frames.images[:, :, ::-1].copy(), masks=frames.masks[:, :, ::-1].copy())


def recorded(frames: Frames) -> Frames:
    """The frames as a stream gives them."""
    rng = np.random.default_rng(SEED)
    images = [as_recorded(image[..., ::-1], rng)[..., ::-1] for image in frames.images]  # BGR there
    return replace(frames, images=np.array(images, np.uint8).reshape(frames.images.shape))


def _boxes_swapped(frames: Frames) -> Frames:
    """A box painted where a polyp is, and filled where none is."""
    painted = draw_boxes(len(frames), torch.Generator().manual_seed(SEED))
    images, masks = frames.images.copy(), frames.masks.copy()
    for image, mask, box in zip(images, masks, painted, strict=True):  # one at a time: float32 takes room
        picture = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        if mask.any():
            picture, beneath = cover(picture, torch.from_numpy(mask)[None, None], box[None])
            mask[:] = beneath[0, 0].numpy()
        elif edges := find_box(image):
            right, top = edges
            picture = uncover(picture, torch.tensor([[0.0, top, right, 1.0]]))
        else:
            continue
        image[:] = picture[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return replace(frames, images=images, masks=masks)
