"""SnapshotWriter: the picture of one moment, without and with what was drawn on it, and what was found."""

import dataclasses
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, Self

import cv2

from rtpolyp.errors import OutputError
from rtpolyp.imaging.deidentify import blank_outside
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.onscreen import Badge
from rtpolyp.live.annotate import annotate
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.live.redact_fields import redact_fields
from rtpolyp.live.worker import Worker
from rtpolyp.settings import Settings
from rtpolyp.video.frame import Frame
from rtpolyp.video.json_sink import SCHEMA, describe_polyp

__all__ = ["SnapshotWriter"]

log = logging.getLogger(__name__)

WAITING = 4  # snapshots; a fast disk takes 0.1 s for one
CLOSE_SECONDS = 0.9
NAMES = ("source", "name")  # of the header and the frame: file names may be patients' names


@dataclasses.dataclass(frozen=True)
class _Moment:
    frame: Frame
    analysis: FrameAnalysis | None
    settings: Settings
    badges: tuple[Badge, ...]
    picture: Rect | None
    taken_at: float  # time.time()


class SnapshotWriter:
    """Writes each snapshot as a folder `TIME-FRAME/` with raw.png, overlay.png and snapshot.json.

    `take` never waits: drawing, encoding and writing happen on a thread of their own. A snapshot's folder
    appears whole, under a name of its own (UTC to the millisecond, and the frame's index), or not at all.
    A failure is told once and counted. With `deidentify`, both pictures are black outside the endoscope's,
    but for the badges' titles, and the JSON names neither source nor file. `header` is what the JSON says of
    engine and versions, as JsonSink's. Raises OutputError when `folder` cannot be made.
    """

    def __init__(self, folder: str | Path, header: Mapping[str, Any], *, deidentify: bool = False) -> None:
        self.written = self.failed = 0
        self._given_up = False  # by `close`: the disk did not answer
        self._folder, self._header, self._deidentify = Path(folder), dict(header), deidentify
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise OutputError(f"{folder}: cannot be created ({exc.strerror}); give another folder") from exc
        self._worker = Worker("rtpolyp-snapshots", WAITING)

    def take(
        self,
        frame: Frame,
        analysis: FrameAnalysis | None,
        settings: Settings,
        badges: Sequence[Badge] = (),
        *,
        picture: Rect | None = None,
    ) -> None:
        """Keep this moment: the frame as it came, and what is drawn on it.

        `analysis` may be an earlier frame's, or None while the AI is off. `picture` is where the
        endoscope's picture lies; with `deidentify` and None nothing of the frame is shown.
        """
        shown = tuple(badge.bare() if self._deidentify else badge for badge in badges)
        moment = _Moment(frame, analysis, settings, shown, picture, time.time())
        if not self._worker.submit(lambda: self._save(moment)):
            self._fail("too many are waiting for the disk")

    def close(self) -> None:
        """Write what waits, within 0.9 s; later calls do nothing."""
        if not self._given_up and not self._worker.close(CLOSE_SECONDS):
            self._given_up = True
            self._fail("the disk does not answer")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _save(self, moment: _Moment) -> None:
        raw, drawn = self._pictures(moment)
        text = json.dumps(self._describe(moment), indent=1) + "\n"
        part = None
        try:
            part = Path(tempfile.mkdtemp(prefix=".snapshot-", dir=self._folder))
            _write_png(part / "raw.png", raw)
            _write_png(part / "overlay.png", drawn)
            (part / "snapshot.json").write_text(text, encoding="utf-8")
            part.chmod(0o755)  # a temporary folder is for its owner alone
            self._publish(part, moment)
        except OSError as exc:
            if part is not None:
                shutil.rmtree(part, ignore_errors=True)
            self._fail(exc.strerror or str(exc))
        else:
            self.written += 1

    def _pictures(self, moment: _Moment) -> tuple[Frame, Frame]:
        raw = moment.frame
        if self._deidentify:
            raw, planes = raw.writable()
            blank_outside(planes, moment.picture, full_range=raw.full_range)
        return raw, annotate(raw, moment.analysis, moment.settings, moment.badges)

    def _describe(self, moment: _Moment) -> object:
        frame = moment.frame
        found = moment.analysis.segmentation if moment.analysis is not None else None
        description: dict[str, Any] = {
            "schema": SCHEMA,
            **self._header,
            "settings": dataclasses.asdict(moment.settings),
            "taken": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment.taken_at)),
            "index": frame.index,
            "name": frame.name,
            "pts": frame.pts,
            "time_base": str(frame.time_base),
            "pts_seconds": frame.pts_seconds,
            "picture": None if moment.picture is None else dataclasses.asdict(moment.picture),
            "badges": [f"{badge.title} {badge.detail}".strip() for badge in moment.badges],
            "analysed": None,
            "polyps": [],
        }
        if found is not None:
            description["analysed"] = {
                "index": found.index,
                "pts_seconds": found.pts_seconds,
                "threshold": found.threshold,
            }
            description["polyps"] = [describe_polyp(polyp) for polyp in found.polyps]
        if self._deidentify:
            for name in NAMES:
                description.pop(name, None)
        return redact_fields(description)

    def _publish(self, part: Path, moment: _Moment) -> None:
        """Give the finished folder its name; a name that exists already is never taken."""
        utc = time.strftime("%Y%m%dT%H%M%S", time.gmtime(moment.taken_at))
        name = f"{utc}.{int(moment.taken_at % 1 * 1000):03d}Z-{moment.frame.index:06d}"
        for number in count(1):
            target = self._folder / (name if number == 1 else f"{name}-{number}")
            try:
                os.rename(part, target)
            except OSError:
                if not target.exists():
                    raise
            else:
                return

    def _fail(self, reason: str) -> None:
        if not self.failed:
            log.warning("%s: a snapshot is lost (%s); this is said once", self._folder, reason)
        self.failed += 1


def _write_png(path: Path, frame: Frame) -> None:
    _, encoded = cv2.imencode(".png", frame.to_bgr())
    path.write_bytes(encoded.tobytes())
