"""A network on the simulated GPU: `redness`, as hostile as the device is.

A context keeps an intermediate result, so that two runs in one context spoil each other, and each run leaves
POISON where its input was.
"""

import contextlib
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from rtpolyp.inference.tensorrt.device import Device, Enqueue, Memory, NetworkOnDevice
from rtpolyp.inference.tensorrt.streams import OpenNetwork, StreamEngine
from rtpolyp.spec import EngineSpec
from tests.runtime.simulated_device import POISON, SimulatedDevice, SimulatedStream
from tests.runtime.stub_engine import redness

SIDE = 32
SPEC = EngineSpec("simulated", "none", "none", SIDE, SIDE, 0.5, 0.0, 0.0)


class SimulatedContext:
    """An execution context that computes `redness` in two pieces, with its intermediate result in between."""

    def __init__(self, device: SimulatedDevice, height: int, width: int) -> None:
        self._device, self._size = device, (height, width)
        self._between: NDArray[np.uint8] | None = None
        self._has_run = False

    def enqueue(self, count: int, frames: Memory, probability: Memory, stream: SimulatedStream) -> None:
        height, width = self._size
        if stream.captured is not None and not self._has_run:
            raise RuntimeError("the first run allocates, which cannot be captured")
        self._has_run = True

        def first() -> None:
            pixels = self._device.at(frames)[: count * height * width * 3]
            self._between = redness(pixels.reshape(count, height, width, 3))
            pixels[...] = POISON

        def second() -> None:
            between, self._between = self._between, None
            result = np.full((count, height, width), POISON, np.uint8) if between is None else between
            self._device.at(probability)[: result.size] = result.reshape(-1)

        stream.put(first)
        stream.put(second)


class SimulatedNetwork:
    """`redness` as a network on a SimulatedDevice."""

    description = "simulated fp16"

    def __init__(
        self, device: SimulatedDevice, height: int, width: int, *, least: int = 1, replays: bool = False
    ) -> None:
        self.least, self.replays = least, replays
        self.warm = 0
        self._device, self._size = device, (height, width)

    def execution(self, count: int, frames: Memory, probability: Memory, stream: SimulatedStream) -> Enqueue:
        self._device.call("execution")
        context = SimulatedContext(self._device, *self._size)

        def enqueue() -> None:
            self._device.call("enqueue")
            context.enqueue(count, frames, probability, stream)

        return enqueue

    def warmed_up(self) -> None:
        self._device.call("warmed_up")
        self.warm += 1


def opener(device: SimulatedDevice, network: SimulatedNetwork) -> OpenNetwork:
    """What StreamEngine takes."""

    @contextlib.contextmanager
    def open_network() -> Iterator[tuple[Device, NetworkOnDevice]]:
        with device:
            yield device, network

    return open_network


def open_on(
    device: SimulatedDevice, engine: type[StreamEngine] = StreamEngine, *, batch: int = 1, **network
) -> StreamEngine:
    return engine(SPEC, opener(device, SimulatedNetwork(device, SIDE, SIDE, **network)), batch=batch)


def noise(seed: int, count: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
