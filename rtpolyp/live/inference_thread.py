"""InferenceThread: the AI plane. It analyses the newest frame and never holds the picture up."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import EngineError, EngineUnavailable
from rtpolyp.imaging.geometry import Rect, View, make_view
from rtpolyp.imaging.quality import FrameQuality
from rtpolyp.live.ai_state import AiState
from rtpolyp.live.engines import Engines
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.live.latest import Latest
from rtpolyp.live.telemetry import Telemetry
from rtpolyp.settings import Settings
from rtpolyp.tracking.alert import Alert, AlertCounters, AlertPolicy
from rtpolyp.tracking.departure import Departures
from rtpolyp.tracking.drift import DriftWatch
from rtpolyp.tracking.tracker import PolypTracker
from rtpolyp.video.frame import Frame, Segmentation
from rtpolyp.video.network_scaler import NetworkScaler
from rtpolyp.video.planes import plane_view

__all__ = ["Calls", "InferenceThread"]

log = logging.getLogger(__name__)

CLOSE_SECONDS = 0.5  # more than the rest of a frame takes; a native library may hang for longer
ENGINE_RAISED = AiState("off", "engine error")


@dataclass(frozen=True)
class Calls:
    """What the AI plane asks the session, and what it tells it; every call answers at once."""

    settings: Callable[[], Settings]
    picture: Callable[[], Rect | None]  # the endoscope's, in frame pixels; None until it is found
    on_result: Callable[[Frame, Segmentation], None]
    on_alert: Callable[[Alert], None]
    on_drift: Callable[
        [str, str], None
    ]  # a bundle's name, and how a stretch is unlike what it was trained on


class InferenceThread:
    """Puts the FrameAnalysis of the newest frame into `results`; its thread ends with `frames`.

    An engine that fails turns `state` off; the next result turns it on again.
    """

    def __init__(
        self,
        frames: Latest[Frame],
        engines: Engines,
        calls: Calls,
        *,
        alerts: AlertPolicy,
        telemetry: Telemetry,
    ) -> None:
        self.results: Latest[FrameAnalysis] = Latest()
        self.state = AiState("starting", "waiting for the first result")
        self.error: Exception | None = None  # a bug, which ended the plane; the picture goes on
        self._frames, self._engines = frames, engines
        self._tracker, self._departures, self._quality = PolypTracker(), Departures(), FrameQuality()
        self._drift = DriftWatch(engines.current.spec)
        self._calls, self._alerts, self._telemetry = calls, alerts, telemetry
        self._restarts = 0  # that the telemetry knows
        self._told = AlertCounters()  # what the telemetry knows
        self._view: View | None = None
        self._scaler: NetworkScaler
        self._thread = threading.Thread(target=self._run, name="rtpolyp-inference", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def close(self) -> None:
        """Wait for the thread, once the engine is closed, which fails whatever it has in flight."""
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            next_index = 0
            while (frame := self._frames.get()) is not None:
                picture = self._calls.picture()
                if picture is not None and frame.index >= next_index:
                    next_index = frame.index + self._engines.stride
                    self._look(frame, picture)
            self._tell_drift(self._drift.finish())
        except Exception as exc:
            self.state, self.error = AiState("off", "internal error"), exc
            log.exception("the AI has ended")

    def _look(self, frame: Frame, picture: Rect) -> None:
        engine = self._engines.current
        view = make_view(frame.size, engine.spec.size, picture)
        if view != self._view:
            self._view, self._scaler = view, NetworkScaler(view)
        begun = time.monotonic()
        pixels = self._scaler(frame)
        try:
            prediction = engine.submit(pixels[np.newaxis]).result()
        except EngineUnavailable as exc:
            self.state = AiState("off", str(exc))
            return
        except EngineError as exc:
            if self._frames.closed:  # the session ends, and the engine with it
                return
            self._telemetry.count("inference_failures")
            if self.state != ENGINE_RAISED:
                log.warning("%s", exc)
            self.state = ENGINE_RAISED
            return
        now = time.monotonic()
        self._telemetry.time("inference", now - begun)
        self._telemetry.count("inferences")
        self._telemetry.count("engine_restarts", self._engines.restarts - self._restarts)
        self._restarts = self._engines.restarts
        self._publish(frame, view, prediction.probability[0])
        if engine.spec.name != self._drift.bundle:  # the ladder's fallback was trained otherwise
            self._drift = DriftWatch(engine.spec)
        self._tell_drift(self._drift(pixels, prediction.probability[0], frame.pts_seconds))
        self._engines.observe(now - frame.captured_at, now)
        self.state = self._engines.state

    def _publish(self, frame: Frame, view: View, probability: NDArray[np.uint8]) -> None:
        pts_seconds, settings = frame.pts_seconds, self._calls.settings()
        smoothed, polyps = self._tracker(probability, pts_seconds, view, settings)
        y, u, v = (plane_view(frame.native, index) for index in range(3))
        quality = self._quality(y, u, v, pts_seconds, view.crop)
        suppressed_by = None if quality == "clear" else quality
        alert = self._alerts(polyps, pts_seconds, suppressed_by=suppressed_by)
        found = Segmentation(frame.index, pts_seconds, polyps, smoothed, view, settings.threshold)
        exits = self._departures(polyps, pts_seconds, view.crop)
        latency = time.monotonic() - frame.captured_at
        self.results.put(FrameAnalysis(found, alert, exits, quality, frame.captured_at, latency))
        self._calls.on_result(frame, found)
        self._count(alert)

    def _tell_drift(self, how: str | None) -> None:
        if how is not None:
            self._telemetry.count("drifts")
            self._calls.on_drift(self._drift.bundle, how)

    def _count(self, alert: Alert) -> None:
        """Bring the telemetry up to the alert policy's counters."""
        counters = self._alerts.counters
        self._telemetry.count("activations", counters.activations - self._told.activations)
        self._telemetry.count("activations_suppressed", counters.suppressed - self._told.suppressed)
        if alert.started:
            self._telemetry.time("alert_delay", counters.delay_seconds - self._told.delay_seconds)
            self._calls.on_alert(alert)
        self._told = replace(counters)
