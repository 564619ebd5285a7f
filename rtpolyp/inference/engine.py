"""The contract between a network and everything around it: frames in, probability out."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from rtpolyp.spec import EngineSpec

__all__ = ["Engine", "Goal", "Prediction", "Timing"]

Goal = Literal["latency", "throughput"]  # one frame as soon as possible, or as many as possible a second


@dataclass(frozen=True)
class Timing:
    """Where the time of one request went, in seconds, as the backend itself saw it."""

    compute: float  # in the network
    h2d: float | None = None  # host to device; None where the network reads the host's memory
    d2h: float | None = None  # device to host


@dataclass(frozen=True)
class Prediction:
    """What one `submit` computed. The arrays belong to the caller; no backend reuses them."""

    probability: NDArray[np.uint8]  # (N, H, W), 255 = polyp
    presence: NDArray[np.float32] | None = (
        None  # (N,) probability that a polyp is in the frame, if the network has that head
    )
    timing: Timing | None = None  # None from a backend that does not tell


class Engine(Protocol):
    """A network ready to run; a context manager."""

    backend: str  # a name of backends.BACKENDS; of an engine made otherwise any other
    precision: str  # as `open_engine` takes it; "auto" where it is the server's business
    spec: EngineSpec
    description: str  # one line: backend, precision, streams, and why
    capacity: int  # requests that may be in flight at once
    batch: int  # frames a submit may hold

    def submit(self, frames: NDArray[np.uint8]) -> Future[Prediction]:
        """Start inference on `frames: (N, H, W, 3) uint8 BGR`, 1 ≤ N ≤ `batch`, at the spec's size.

        The array may be overwritten as soon as the call returns.
        Raises EngineBusy when `capacity` requests are in flight, EngineError on a wrong shape or dtype.
        A failure inside the backend is set on the future as EngineError.
        """

    def close(self) -> None:
        """Wait for requests in flight and free everything; later calls do nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
