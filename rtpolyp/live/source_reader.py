"""SourceReader: the thread that empties a source into mailboxes, so that nothing waits for anything."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace

from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.picture import PICTURE_FRAMES, Crop, PictureFinder
from rtpolyp.live.latest import Latest
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.video.contract import LiveSource, Losses
from rtpolyp.video.frame import Frame

__all__ = ["SourceReader"]

log = logging.getLogger(__name__)


class SourceReader:
    """Puts every frame of `source` into each of `mailboxes`, and finds where the endoscope's picture lies.

    `picture` is that Rect in frame pixels: None until PICTURE_FRAMES are there, the whole frame as long as no
    border around it is certain, for which it goes on looking. `border` is the same once it is certain, or was
    given as `crop`. The mailboxes are closed at the end of the stream. What the source raises, which is
    nothing but the end for good, stands in `error`.
    """

    def __init__(
        self, source: LiveSource, mailboxes: Sequence[Latest[Frame]], crop: Crop, telemetry: Telemetry
    ) -> None:
        self.error: Exception | None = None
        self.border: Rect | None = crop if isinstance(crop, Rect) else None
        self.picture = self.border
        self._source, self._mailboxes, self._telemetry = source, mailboxes, telemetry
        self._told = Losses()  # what the telemetry knows
        self._finder = PictureFinder() if crop == "auto" else None
        self._whole = Rect(0, 0, *source.size) if source.size is not None else None
        if crop == "off":
            self.picture = self._whole
        self._thread = threading.Thread(target=self._run, name="rtpolyp-reader", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self, timeout: float = 1.0) -> None:
        """Interrupt the source and wait for the thread, which a hung driver may keep for good."""
        self._source.interrupt()
        self._thread.join(timeout)
        if self._thread.is_alive():
            log.warning("%s: the source does not answer; leaving it", self._source.name)

    def _run(self) -> None:
        try:
            for count, frame in enumerate(self._source, 1):
                self._telemetry.count("frames_captured")
                self._count_losses()
                for mailbox in self._mailboxes:
                    mailbox.put(frame)
                if self._finder is not None and (count <= PICTURE_FRAMES or count % PICTURE_FRAMES == 0):
                    self._look_for_border(self._finder, frame, count)
        except Exception as exc:  # the session tells it after closing everything
            self.error = exc
        finally:
            self._count_losses()
            for mailbox in self._mailboxes:
                mailbox.close()

    def _count_losses(self) -> None:
        """Bring the telemetry up to the source's counters."""
        losses = replace(self._source.losses)  # it goes on counting
        self._telemetry.count("corrupt_packets", losses.corrupt_packets - self._told.corrupt_packets)
        self._telemetry.count("skipped_packets", losses.skipped_packets - self._told.skipped_packets)
        self._telemetry.count("lost_pictures", losses.lost_pictures - self._told.lost_pictures)
        self._telemetry.count("damaged_pictures", losses.damaged_pictures - self._told.damaged_pictures)
        self._told = losses

    def _look_for_border(self, finder: PictureFinder, frame: Frame, count: int) -> None:
        finder.add(frame.luma())
        if count >= PICTURE_FRAMES:
            self.picture = finder.picture()
            if self.picture != self._whole:
                self.border, self._finder = self.picture, None
