"""A data set on disk and an engine that follows the contract, both small and exactly known."""

from concurrent.futures import Future
from pathlib import Path

import cv2
import numpy as np

from rtpolyp.errors import EngineBusy
from rtpolyp.inference.engine import Prediction
from rtpolyp.spec import EngineSpec

MUCOSA = (90, 100, 140)  # BGR


class Answer(Future):
    """A result that occupies its engine until it is taken: no real one keeps a slot for longer."""

    def __init__(self, engine: "RedEngine") -> None:
        super().__init__()
        self._engine = engine

    def result(self, timeout: float | None = None) -> Prediction:
        self._engine.in_flight -= 1
        return super().result(timeout)


class RedEngine:
    """Probability = redness: red minus the mean of green and blue, doubled."""

    backend = "red"
    description = "redness rule, 2 in flight"
    capacity = 2

    def __init__(self, **changes: object) -> None:
        point = {"threshold": 0.5, "minimum_area": 0.0, "minimum_confidence": 0.0}
        self.spec = EngineSpec("red", "rule", "none", 96, 128, **(point | changes))
        self.in_flight = 0
        self.most_in_flight = 0

    def submit(self, frames: np.ndarray) -> "Future[Prediction]":
        if self.in_flight == self.capacity:
            raise EngineBusy("red: full")
        assert frames.shape[1:] == (96, 128, 3)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        answer = Answer(self)
        try:
            answer.set_result(self.infer(frames))
        except Exception as exc:
            answer.set_exception(exc)
        return answer

    def infer(self, frames: np.ndarray) -> Prediction:
        blue, green, red = np.moveaxis(frames.astype(np.int16), 3, 0)
        return Prediction(np.clip(2 * red - blue - green, 0, 255).astype(np.uint8))

    def close(self) -> None:
        pass

    def __enter__(self) -> "RedEngine":
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def write_frame(
    folder: Path,
    name: str,
    polyps: list[tuple[int, int, int]],
    reds: list[tuple[int, int, int]],
    size: tuple[int, int] = (256, 192),
) -> None:
    """One image with red discs (x, y, radius) and a mask with polyps at others."""
    image = np.empty((size[1], size[0], 3), np.uint8)
    image[:] = MUCOSA
    mask = np.zeros(image.shape[:2], np.uint8)
    for x, y, radius in reds:
        cv2.circle(image, (x, y), radius, (40, 40, 220), -1)
    for x, y, radius in polyps:
        cv2.circle(mask, (x, y), radius, 255, -1)
    for part, pixels in (("images", image), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / part / f"{name}.png"), pixels)


def write_discs(folder: Path) -> Path:
    """Four frames: found, missed with a false outline, without a polyp and clean, without and outlined."""
    write_frame(folder, "found", [(100, 90, 30)], [(100, 90, 30)])
    write_frame(folder, "missed", [(60, 60, 25)], [(190, 130, 20)])
    write_frame(folder, "clean", [], [])
    write_frame(folder, "outlined", [], [(128, 96, 40)])
    return folder
