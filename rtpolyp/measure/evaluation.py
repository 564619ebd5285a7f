"""Scores of an engine, or of anybody's masks, frame by frame on a data set with ground truth."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, make_view
from rtpolyp.imaging.image_file import read_image, read_pixels
from rtpolyp.imaging.mask_file import read_mask
from rtpolyp.imaging.picture import Crop, find_picture
from rtpolyp.imaging.preprocess import resize_frame
from rtpolyp.inference.engine import Engine, Prediction
from rtpolyp.measure.dataset import Pair, images_by_stem, load_pairs, split_seen
from rtpolyp.measure.frame_score import FrameScore, score_frame
from rtpolyp.settings import Settings

__all__ = [
    "Degrade",
    "Evaluation",
    "FrameScore",
    "Progress",
    "evaluate_engine",
    "evaluate_predictions",
    "load_pairs",
    "predict",
    "read_cropped",
    "read_pair",
    "score_frame",
]

PRECISIONS = ("fp32", "fp16", "bf16", "int8")

Key = TypeVar("Key")
Progress = Callable[[int, int], None]  # called with (frames done, frames in all)
Degrade = Callable[[Pair, NDArray[np.uint8]], NDArray[np.uint8]]  # (H, W, 3) uint8 BGR to the same size


@dataclass(frozen=True)
class Evaluation:
    """All scored frames and what they were scored with."""

    source: str  # the engine's description, or the folder of predictions
    settings: Settings  # the operating point
    frames: tuple[FrameScore, ...]
    seen: int  # frames of the data set that the network was trained or chosen on
    seen_included: bool  # whether those are among `frames`
    precision: str = ""  # that the engine ran in; "" for masks made elsewhere

    @property
    def with_polyp(self) -> tuple[FrameScore, ...]:
        """The frames that Dice and IoU are averaged over."""
        return tuple(frame for frame in self.frames if frame.has_polyp)

    @property
    def dice(self) -> float:
        """The headline: Dice per image at 0.5 and ground-truth size, mean over frames with a polyp."""
        scores = [frame.half.dice for frame in self.with_polyp]
        return float(np.mean(scores)) if scores else float("nan")

    @property
    def iou(self) -> float:
        """IoU by the same convention as `dice`."""
        scores = [frame.half.iou for frame in self.with_polyp]
        return float(np.mean(scores)) if scores else float("nan")


def evaluate_engine(
    engine: Engine,
    pairs: Sequence[Pair],
    settings: Settings | None = None,
    *,
    include_seen: bool = False,
    crop: Crop = "off",
    degrade: Degrade | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Run `engine` over the frames, without temporal smoothing, and score each at its full size.

    The engine sees them whole, or with `crop` what a stream with that crop shows of each; as they are, or
    what `degrade` makes of their pixels.

    `settings` is the operating point, by default the bundle's own. Frames whose fingerprint the bundle lists
    as training data are left out unless `include_seen`. Raises InputError when none remains, and for files
    that cannot be read or do not fit together.
    """
    spec = engine.spec
    settings = settings or Settings(spec.threshold, spec.minimum_area, spec.minimum_confidence)
    unseen, seen = split_seen(pairs, spec)
    scored = list(pairs) if include_seen else unseen
    if not scored:
        raise InputError(
            f"all {len(seen)} frames were used to train or choose {spec.name}: "
            "take a test split, or include the seen ones"
        )
    frames = []
    for (pair, truth, rect), probability in predict(engine, _read(scored, crop, degrade)):
        frames.append(score_frame(pair, probability, truth, settings, rect))
        if progress is not None:
            progress(len(frames), len(scored))
    precision = _precision_of(engine)
    return Evaluation(engine.description, settings, tuple(frames), len(seen), include_seen, precision)


def _precision_of(engine: Engine) -> str:
    """The word of an engine's description that names it: every backend begins with its own name and that."""
    return next((word for word in engine.description.replace(",", " ").split() if word in PRECISIONS), "")


def evaluate_predictions(
    folder: Path, pairs: Sequence[Pair], settings: Settings, *, progress: Progress | None = None
) -> Evaluation:
    """Score anybody's masks by the same rules.

    `folder/NAME.*` holds 8-bit grey masks or probability maps of any size, 255 = polyp. Raises InputError
    when a frame has no file there, and for files of another kind.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one with a grey PNG for each frame")
    files = images_by_stem(folder)
    if missing := [pair.name for pair in pairs if pair.name not in files]:
        raise InputError(
            f"{folder / missing[0]}.png: no prediction for this frame "
            f"({len(missing)} of {len(pairs)} are missing); add it or choose a split"
        )
    frames = []
    brightest = 0
    for pair in pairs:
        probability = _read_probability(files[pair.name])
        brightest = max(brightest, int(probability.max()))
        frames.append(score_frame(pair, probability, read_mask(pair.mask), settings))
        if progress is not None:
            progress(len(frames), len(pairs))
    if brightest == 1:
        raise InputError(f"{folder}: no value above 1 in any file; write masks with 255 for polyp")
    return Evaluation(str(folder), settings, tuple(frames), 0, False)


def predict(
    engine: Engine, images: Iterable[tuple[Key, NDArray[np.uint8]]]
) -> Iterator[tuple[Key, NDArray[np.uint8]]]:
    """Run images `(H, W, 3) uint8 BGR` through the engine with its capacity filled.

    Yields each key with its probability `(height, width) uint8` on the network's grid, in order.
    """
    in_flight: deque[tuple[Key, Future[Prediction]]] = deque()
    for key, image in images:
        pixels = resize_frame(image, engine.spec)[np.newaxis]
        done = None
        if len(in_flight) == engine.capacity:
            earlier, future = in_flight.popleft()
            done = earlier, future.result().probability[0]
        in_flight.append((key, engine.submit(pixels)))
        if done is not None:  # only now: the engine works while the caller scores
            yield done
    for key, future in in_flight:
        yield key, future.result().probability[0]


def read_pair(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The image `(H, W, 3) uint8 BGR` and the truth `(H, W) bool`; raises InputError when sizes differ."""
    image, truth = read_image(pair.image), read_mask(pair.mask)
    if image.shape[:2] != truth.shape:
        raise InputError(
            f"{pair.mask}: {truth.shape[1]}x{truth.shape[0]} pixels, but the image has "
            f"{image.shape[1]}x{image.shape[0]}; give the mask at the image's size"
        )
    return image, truth


def read_cropped(pair: Pair, crop: Crop) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """`read_pair`, both cut to what a stream with this crop shows of the frame."""
    image, truth = read_pair(pair)
    box = _box(_cropped_to(image, crop))
    return image[box], truth[box]


def _read(
    pairs: Iterable[Pair], crop: Crop, degrade: Degrade | None
) -> Iterator[tuple[tuple[Pair, NDArray[np.bool_], Rect | None], NDArray[np.uint8]]]:
    for pair in pairs:
        image, truth = read_pair(pair)
        if degrade is not None:
            image = degrade(pair, image)
        rect = _cropped_to(image, crop)
        yield (pair, truth, rect), image[_box(rect)]


def _cropped_to(image: NDArray[np.uint8], crop: Crop) -> Rect | None:
    """The rectangle in frame pixels, None for the whole frame."""
    size = image.shape[1], image.shape[0]
    if crop == "off":
        return None
    if crop == "auto":
        crop = find_picture(np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8))
    return make_view(size, size, crop).crop  # on even pixels, as in a stream


def _box(rect: Rect | None) -> tuple[slice, slice]:
    if rect is None:
        return slice(None), slice(None)
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)


def _read_probability(path: Path) -> NDArray[np.uint8]:
    pixels = read_pixels(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 2:
        channels = 1 if pixels.ndim == 2 else pixels.shape[2]
        raise InputError(
            f"{path}: {channels} channels of {8 * pixels.itemsize} bits; write predictions as grey 8-bit PNG"
        )
    return pixels
