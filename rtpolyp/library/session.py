"""Session: one stream, frame by frame, in one's own loop."""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtpolyp.checks import require_choice
from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect, View, make_view
from rtpolyp.imaging.picture import PICTURE_FRAMES, Crop, PictureFinder, check_crop
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.imaging.quality import FrameQuality, Quality
from rtpolyp.library.pixels import (
    CHANNEL_ORDERS,
    ChannelOrder,
    Picture,
    Scaler,
    check_array,
    luma_of,
    sampled_planes,
    size_of,
)
from rtpolyp.library.result import Result
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import DELAY_MS, Alert, AlertPolicy
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.frame import Frame

__all__ = ["Session", "StreamAlerts"]


class StreamAlerts:
    """Judges the frames of one stream and says when to alert. One instance serves one stream."""

    def __init__(self, alert_delay_ms: float = DELAY_MS) -> None:
        """Raises InputError on a delay that is negative or no number."""
        self._quality, self._policy = FrameQuality(), AlertPolicy(alert_delay_ms)

    def __call__(
        self, picture: Picture, view: View, polyps: tuple[Polyp, ...], pts_seconds: float
    ) -> tuple[Quality, Alert]:
        """Take in a frame and its tracked polyps."""
        planes, crop = sampled_planes(picture, view.crop)
        quality = self._quality(*planes, pts_seconds, crop)
        alert = self._policy(polyps, pts_seconds, suppressed_by=None if quality == "clear" else quality)
        return quality, alert

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences."""
        self._quality.reset()
        self._policy.reset()


class Session:
    """One stream in one's own loop: smoothing over time, tracks and alerts. `Model.session` makes one.

    Give it the frames of one stream in order, from one thread, each with its time; the network looks at each
    before the call returns. Time comes from timestamps alone, so nothing depends on how fast the loop runs.

    >>> session = model.session()
    >>> for index, frame in enumerate(frames):
    ...     result = session(frame, pts_seconds=index / 25)
    >>> [polyp.track for polyp in result.polyps], result.quality
    ([1], 'clear')
    """

    def __init__(
        self,
        infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
        network_size: tuple[int, int],
        settings: Settings,
        *,
        crop: Crop = "auto",
        alert_delay_ms: float = DELAY_MS,
        channel_order: ChannelOrder = "BGR",
    ) -> None:
        """`infer` maps the network's input `(h, w, 3) uint8 BGR` to its probability `(h, w) uint8`."""
        check_crop(crop)
        require_choice("channel_order", channel_order, CHANNEL_ORDERS)
        self.settings = settings  # may be replaced between two frames
        self._infer, self._network_size, self._channel_order = infer, network_size, channel_order
        self._scaler, self._tracker = Scaler(), PolypTracker()
        self._alerts = StreamAlerts(alert_delay_ms)
        self._border = _Border(crop)
        self._view: View | None = None
        self._index = 0

    def __call__(self, frame: Picture, *, pts_seconds: float | None = None) -> Result:
        """Look at the next frame, `(H, W, 3) uint8 BGR` or a Frame of `open_source`.

        `pts_seconds` is when it was taken, in seconds from any moment; a Frame has its own. A time that does
        not advance starts the stream anew, as `reset` does. Raises InputError on an array of another shape
        or dtype, on one without a time, and on a frame of another size than the stream's first.
        """
        if isinstance(frame, Frame):
            pts_seconds = frame.pts_seconds if pts_seconds is None else pts_seconds
        else:
            frame = check_array(frame, self._channel_order)
        if pts_seconds is None or not math.isfinite(pts_seconds):
            raise InputError(
                f" {pts_seconds}: give the frame's time in seconds, e.g. index / 25", parameter="pts_seconds"
            )
        view = self._look_where(frame)
        probability = self._infer(self._scaler(frame, view))
        smoothed, polyps = self._tracker(probability, pts_seconds, view, self.settings)
        quality, alert = self._alerts(frame, view, polyps, pts_seconds)
        index, self._index = self._index, self._index + 1
        name = frame.name if isinstance(frame, Frame) else f"{index:06d}"
        return Result(polyps, name, index, pts_seconds, view, self.settings, quality, alert, smoothed, frame)

    def reset(self) -> None:
        """Forget the past, as at a cut between two sequences of one size; indices and track ids go on."""
        self._tracker.reset()
        self._alerts.reset()

    def _look_where(self, frame: Picture) -> View:
        size = size_of(frame)
        known = self._view
        if known is not None and size != (known.frame_width, known.frame_height):
            raise InputError(
                f"frame {self._index} has {size[0]}x{size[1]} pixels, but this session's first had "
                f"{known.frame_width}x{known.frame_height}: make a session for each size"
            )
        view = make_view(size, self._network_size, self._border(frame))
        if known is not None and view != known:
            self.reset()  # what is smoothed lies on another grid from now on
        self._view = view
        return view


class _Border:
    """Where the endoscope's picture lies, from the frames so far; settled once a border is certain."""

    def __init__(self, crop: Crop) -> None:
        self._crop = crop if isinstance(crop, Rect) else None
        self._finder = PictureFinder() if crop == "auto" else None
        self._seen = 0

    def __call__(self, frame: Picture) -> Rect | None:
        """Take in a frame; the picture's Rect, None for the whole frame."""
        if self._finder is None:
            return self._crop
        self._seen += 1
        if self._seen <= PICTURE_FRAMES or self._seen % PICTURE_FRAMES == 0:
            self._finder.add(luma_of(frame))
            found = self._finder.picture()
            whole = found == Rect(0, 0, *size_of(frame))
            self._crop = None if whole else found
            if self._seen >= PICTURE_FRAMES and not whole:
                self._finder = None
        return self._crop
