"""One NVIDIA card through pycuda, the only file that touches it; graphs, which it lacks, by cuda.bindings.

The primary context is used, as pycuda.autoprimaryctx does: the one that TensorRT, PyTorch and ONNX Runtime
work in as well. It is retained by whoever opens the device and given back at the end, so that no thread and
no program that merely imports this holds any of the card.
"""

import contextlib
import importlib
from collections.abc import Callable
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from rtpolyp.errors import BackendError
from rtpolyp.inference.local_engine import one_line
from rtpolyp.inference.tensorrt.device import Enqueue, Event, Memory, Stream

__all__ = ["CudaDevice"]

CU_STREAM_NON_BLOCKING = 1  # does not wait for the default stream, which other libraries may use


class CudaStream:
    """A Stream of device.py."""

    def __init__(self, own: Any) -> None:
        self.own = own
        self.handle = int(own.handle)

    def synchronise(self) -> None:
        self.own.synchronize()


class CudaEvent:
    """An Event of device.py, whose waiters sleep: spinning would take a core from decoder and encoder."""

    def __init__(self, own: Any) -> None:
        self.own = own

    def record(self, stream: Stream) -> None:
        self.own.record(cast(CudaStream, stream).own)

    def wait(self) -> None:
        self.own.synchronize()

    def seconds_since(self, earlier: Event) -> float:
        return float(self.own.time_since(cast(CudaEvent, earlier).own)) / 1000


class CudaDevice:
    """The first visible card as a Device of device.py; a context manager, for one thread.

    Raises BackendError where pycuda, the driver or the card is not usable.
    """

    def __init__(self) -> None:
        self._cuda = _pycuda()
        self._frees: list[Callable[[], object]] = []

    def __enter__(self) -> Self:
        try:
            self._cuda.init()
            self._context = self._cuda.Device(0).retain_primary_context()
            self._context.push()
        except self._cuda.Error as exc:
            raise BackendError(f"the NVIDIA card does not open ({one_line(exc)}); see nvidia-smi") from exc
        return self

    def __exit__(self, *exc: object) -> None:
        # detach gives the context back; pycuda 2026.1 fails to where it is left to the destructor
        last = self._context.pop, self._context.detach
        for step in (self._context.synchronize, *reversed(self._frees), *last):
            with contextlib.suppress(self._cuda.Error):  # a lost device refuses all of them
                step()
        self._frees.clear()

    def host_array(self, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Page-locked host memory, zeroed."""
        array: NDArray[np.uint8] = self._cuda.pagelocked_zeros(shape, np.uint8)
        self._frees.append(cast(Any, array.base).free)
        return array

    def memory(self, size: int) -> Memory:
        """`size` bytes of device memory."""
        allocation = self._cuda.mem_alloc(size)
        self._frees.append(allocation.free)
        return int(allocation)

    def stream(self) -> CudaStream:
        """A new stream."""
        stream = CudaStream(self._cuda.Stream(CU_STREAM_NON_BLOCKING))
        self._frees.append(lambda: delattr(stream, "own"))
        return stream

    def event(self) -> CudaEvent:
        """A new event."""
        event = CudaEvent(self._cuda.Event(self._cuda.event_flags.BLOCKING_SYNC))
        self._frees.append(lambda: delattr(event, "own"))
        return event

    def upload(self, memory: Memory, source: NDArray[np.uint8], stream: Stream) -> None:
        """Put a copy from host to device on the stream."""
        self._cuda.memcpy_htod_async(memory, source, cast(CudaStream, stream).own)

    def download(self, target: NDArray[np.uint8], memory: Memory, stream: Stream) -> None:
        """Put a copy from device to host on the stream."""
        self._cuda.memcpy_dtoh_async(target, memory, cast(CudaStream, stream).own)

    def capture(self, stream: Stream, enqueue: Enqueue) -> Enqueue:
        """Record what `enqueue` puts on the stream as a graph, and return what replays it with one call."""
        driver = _bindings()
        handle = driver.CUstream(stream.handle)
        # thread-local: what other threads do meanwhile, allocations above all, must not spoil the capture
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked(driver.cuStreamBeginCapture(handle, mode))
        try:
            enqueue()
        finally:
            ended = driver.cuStreamEndCapture(handle)  # after a failure as well: the stream is usable again
        (graph,) = _checked(ended)
        try:
            (executable,) = _checked(driver.cuGraphInstantiate(graph, 0))
        finally:
            driver.cuGraphDestroy(graph)
        self._frees.append(lambda: driver.cuGraphExecDestroy(executable))
        return lambda: cast(None, _checked(driver.cuGraphLaunch(executable, handle)))

    def synchronise(self) -> None:
        """Wait for all work of the device."""
        self._context.synchronize()


def _pycuda() -> Any:
    try:
        return importlib.import_module("pycuda.driver")
    except ImportError as exc:
        raise BackendError(
            f"pycuda is not usable ({one_line(exc)}); python scripts/install_pycuda.py"
        ) from exc


def _bindings() -> Any:
    return importlib.import_module("cuda.bindings.driver")


def _checked(outcome: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call of cuda.bindings returned beside its status; raises RuntimeError for any but success."""
    status, *results = outcome
    if int(status):
        raise RuntimeError(status.name)
    return tuple(results)
