"""Model: a network that is ready to look at pictures, streams and one's own frames."""

import contextlib
import threading
from collections import deque
from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeAlias, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import require_number
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, View, make_view
from rtpolyp.imaging.image_file import read_image
from rtpolyp.imaging.picture import Crop, check_crop, find_picture
from rtpolyp.imaging.postprocess import find_polyps
from rtpolyp.inference.bundle import DEFAULT_BUNDLE
from rtpolyp.inference.engine import Engine, Goal, Prediction
from rtpolyp.inference.isolated.engine import EngineRecipe, open_guarded
from rtpolyp.library.pixels import ChannelOrder, Picture, Scaler, check_array, luma_of, size_of
from rtpolyp.library.result import Result
from rtpolyp.library.session import Session, StreamAlerts
from rtpolyp.library.streams import is_live_source, is_source, stream_arrays, stream_file, stream_live
from rtpolyp.library.waiting import WaitingEngine
from rtpolyp.pipeline import settings_for
from rtpolyp.settings import Settings
from rtpolyp.spec import EngineSpec
from rtpolyp.tracking.alert import DELAY_MS
from rtpolyp.video.address import is_live, redact
from rtpolyp.video.contract import Source
from rtpolyp.video.frame import Frame
from rtpolyp.video.source import VIDEOS, open_source

__all__ = ["Image", "Model", "load"]

Image: TypeAlias = NDArray[np.uint8] | Frame | str | Path
SomeImage = TypeVar("SomeImage", bound=Image)  # of a list, all of one kind or not


def load(
    engine: str | Path = DEFAULT_BUNDLE,
    *,
    backend: str = "auto",
    precision: str = "auto",
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    optimise_for: Goal = "latency",
) -> "Model":
    """Open a network: a bundle by name or folder, or a TensorRT plan's file.

    `backend` is "auto", "tensorrt", "onnxruntime-cuda", "openvino" or "onnxruntime"; `precision` is "auto",
    "fp32", "fp16", "bf16" or "int8". "auto" takes what is fastest here; the first call on a machine measures
    that for a second or two. `size` = (width, height), multiples of 32, replaces the bundle's input size
    (OpenVINO alone can). `threads` limits the processor's threads. `optimise_for` "latency" answers one
    picture as soon as possible, "throughput" works on several at once.

    A bundle that rtpolyp does not ship is opened in a process of its own, which imports the running script
    again: keep what that does under `if __name__ == "__main__":`. Raises EngineError for a missing or broken
    bundle, BackendError where what was asked for cannot work here, InputError for an unknown option.

    >>> import rtpolyp
    >>> model = rtpolyp.load("pranet-if", precision="fp32")
    >>> model.size
    (288, 288)
    """
    recipe = EngineRecipe(engine, backend, precision, threads, size, optimise_for)
    return Model(open_guarded(recipe))


class Model:
    """A network that is ready to run; made by `load`, a context manager. Any thread may call it.

    >>> result = model(image)                      # one picture
    >>> results = model([image, image[:, ::-1]])   # several
    >>> for result in model.stream("video.mp4"):   # a video, a camera, a URL, arrays
    ...     print(f"{result.pts_seconds:.2f}", len(result.polyps))
    0.00 1
    0.04 1
    0.08 1
    """

    def __init__(self, engine: Engine) -> None:
        """Any Engine will do; the model closes it."""
        self._engine = WaitingEngine(engine)
        self._settings = settings_for(engine.spec)
        self._threads = threading.local()  # filters belong to one thread

    @property
    def engine(self) -> Engine:
        """The open network under the model, e.g. for `run_file(…, model=model.engine)`."""
        return self._engine

    @property
    def spec(self) -> EngineSpec:
        """What the bundle says of itself: network, input size, operating point, measured figures."""
        return self._engine.spec

    @property
    def description(self) -> str:
        """One line: backend, precision, and why."""
        return self._engine.description

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the network's input in pixels."""
        return self.spec.size

    @property
    def settings(self) -> Settings:
        """The bundle's operating point; change it by `dataclasses.replace(model.settings, threshold=0.5)`."""
        return self._settings

    @overload
    def __call__(
        self,
        image: Image,
        *,
        settings: Settings | None = None,
        crop: Crop = "off",
        channel_order: ChannelOrder = "BGR",
    ) -> Result: ...
    @overload
    def __call__(
        self,
        image: list[SomeImage] | tuple[SomeImage, ...],
        *,
        settings: Settings | None = None,
        crop: Crop = "off",
        channel_order: ChannelOrder = "BGR",
    ) -> list[Result]: ...
    def __call__(
        self,
        image: Image | list[SomeImage] | tuple[SomeImage, ...],
        *,
        settings: Settings | None = None,
        crop: Crop = "off",
        channel_order: ChannelOrder = "BGR",
    ) -> Result | list[Result]:
        """Find polyps in a picture that stands alone; of a list or tuple of pictures, a list of results.

        `image` is `(H, W, 3) uint8 BGR`, the path of an image file, or a Frame of `open_source`. `settings`
        default to the bundle's operating point. The network looks at the whole picture, as in training and
        in `rtpolyp eval`; `crop` "auto" finds the endoscope's picture between black borders and text first,
        as `rtpolyp run` does, which takes some milliseconds, and a Rect names it in pixels.
        `channel_order` "RGB" is for arrays in that order, which nothing in an array tells.

        Raises InputError on an array of another shape or dtype, with the conversion it needs; on a file that
        is missing, broken, grey, or deeper than 8 bits; and on a crop that leaves the picture. EngineError
        where the network fails.

        >>> import numpy as np
        >>> model(image.astype(np.float32))
        Traceback (most recent call last):
        rtpolyp.errors.InputError: an array (288, 384, 3) float32: give uint8 from 0 to 255; of floats in \
[0, 1] that is numpy.uint8(255 * image + 0.5)
        """
        chosen = settings or self.settings
        if isinstance(image, list | tuple):
            return self._look_at_all(image, chosen, crop, channel_order)
        return self._finish(self._begin(image, 0, crop, channel_order), chosen)

    def stream(
        self,
        source: str | Path | Source | Iterable[NDArray[np.uint8]],
        *,
        settings: Settings | None = None,
        crop: Crop = "auto",
        frame_rate: float = 25.0,
        alert_delay_ms: float = DELAY_MS,
    ) -> Generator[Result, None, None]:
        """Yield a Result a frame of a video, a folder or glob of images, a live source, or arrays.

        `source` is an address as `open_source` takes it, what that returned, or arrays. Streams are smoothed,
        tracked and judged for alerts, and each result has its frame's `pts_seconds`.
        Images of a folder stand alone. A live source – a camera's number or device, a URL, "-" – gives its
        newest frame each time, so a slow loop leaves frames out instead of falling behind. Arrays `(H, W, 3)
        uint8 BGR`, all of one size, are taken to come at `frame_rate` frames a second; of frames with times
        of their own, make a `session`. `crop` is as in `rtpolyp run`.

        Raises InputError when there is no such source or it breaks off, after the results before that, and
        EngineError where the network fails. Closing the generator closes what it opened; a live source that
        was given open is interrupted.
        """
        session = self.session(settings=settings, crop=crop, alert_delay_ms=alert_delay_ms)
        if not isinstance(source, str | Path) and not is_source(source):
            require_number("frame_rate", frame_rate, above=0, example="frames a second, e.g. 25")
            return stream_arrays(source, session, frame_rate)
        with contextlib.ExitStack() as stack:
            if isinstance(source, str | Path):
                source = stack.enter_context(open_source(source))
            if is_live_source(source):
                return stream_live(source, session, stack.pop_all())
            alerts = StreamAlerts(alert_delay_ms)
            return stream_file(source, self._engine, session.settings, crop, alerts, stack.pop_all())

    def session(
        self,
        *,
        settings: Settings | None = None,
        crop: Crop = "auto",
        alert_delay_ms: float = DELAY_MS,
        channel_order: ChannelOrder = "BGR",
    ) -> Session:
        """Begin a stream for one's own loop: `session(frame, pts_seconds=t)` gives a tracked Result.

        Raises InputError on a negative `alert_delay_ms`, the time in milliseconds that a polyp has to be
        outlined without a break before it raises an alert.
        """
        return Session(
            self._infer,
            self.size,
            settings or self.settings,
            crop=crop,
            alert_delay_ms=alert_delay_ms,
            channel_order=channel_order,
        )

    def close(self) -> None:
        """Free the network; later calls do nothing."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Model {self.spec.name}: {self.description}>"

    def _infer(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        probability: NDArray[np.uint8] = self._engine.submit(pixels[np.newaxis]).result().probability[0]
        return probability

    def _look_at_all(
        self, images: Sequence[Image], settings: Settings, crop: Crop, channel_order: ChannelOrder
    ) -> list[Result]:
        """As many at a time as the engine takes."""
        results, begun = [], deque[_Begun]()
        for index, image in enumerate(images):
            begun.append(self._begin(image, index, crop, channel_order))
            if len(begun) == self._engine.capacity:
                results.append(self._finish(begun.popleft(), settings))
        return results + [self._finish(one, settings) for one in begun]

    def _begin(self, image: Image, index: int, crop: Crop, channel_order: ChannelOrder) -> "_Begun":
        check_crop(crop)
        picture, name = _read(image, channel_order)
        border = find_picture(luma_of(picture)) if crop == "auto" else crop
        view = make_view(size_of(picture), self.size, border if isinstance(border, Rect) else None)
        if not hasattr(self._threads, "scaler"):
            self._threads.scaler = Scaler()
        pixels = self._threads.scaler(picture, view)
        return _Begun(picture, name, index, view, self._engine.submit(pixels[np.newaxis]))

    def _finish(self, begun: "_Begun", settings: Settings) -> Result:
        probability = begun.future.result().probability[0]
        polyps = find_polyps(probability, begun.view, settings)
        return Result(
            polyps,
            begun.name,
            begun.index,
            None,
            begun.view,
            settings,
            None,
            None,
            probability,
            begun.picture,
        )


@dataclass(frozen=True)
class _Begun:
    picture: Picture
    name: str
    index: int
    view: View
    future: "Future[Prediction]"


def _read(image: Image, channel_order: ChannelOrder) -> tuple[Picture, str]:
    """The picture and what to call it."""
    if isinstance(image, Frame):
        return image, image.name
    if isinstance(image, str | Path):
        path = Path(image)
        if path.is_dir() or is_live(str(image)) or path.suffix.lower() in VIDEOS:
            raise InputError(f"{redact(str(image))}: is no single picture; give it to model.stream")
        return read_image(path), path.stem
    return check_array(image, channel_order), "image"
