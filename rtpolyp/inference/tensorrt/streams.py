"""Requests as overlapped CUDA streams: while one slot computes, another's frames are on the bus.

Each slot has page-locked buffers on the host, buffers on the device, an execution context, a stream and
events of its own. One thread owns the device: it makes, uses and frees all of that. `submit` copies into a
slot's page-locked buffer on the caller's thread and never waits.
"""

import contextlib
import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future

from rtpolyp.errors import BackendError, EngineError
from rtpolyp.inference.engine import Prediction, Timing
from rtpolyp.inference.local_engine import LocalEngine, Request, one_line
from rtpolyp.inference.tensorrt.device import Device, Enqueue, NetworkOnDevice
from rtpolyp.spec import EngineSpec

__all__ = ["SLOTS", "OpenNetwork", "Slot", "StreamEngine"]

log = logging.getLogger(__name__)

SLOTS = 3  # one uploads, one computes, one downloads
CLOSE_SECONDS = 30.0  # a request takes milliseconds: what has no answer by then hangs in the driver

OpenNetwork = Callable[[], contextlib.AbstractContextManager[tuple[Device, NetworkOnDevice]]]


class Slot:
    """What a request in flight has for itself."""

    def __init__(self, device: Device, spec: EngineSpec, frames: int) -> None:
        self.frames = device.host_array((frames, spec.height, spec.width, 3))
        self.probability = device.host_array((frames, spec.height, spec.width))
        self.input = device.memory(self.frames.nbytes)
        self.output = device.memory(self.probability.nbytes)
        self.stream = device.stream()
        self.begun, self.uploaded, self.computed, self.downloaded = (device.event() for _ in range(4))
        self.runs: dict[int, Enqueue] = {}  # by number of frames


class StreamEngine(LocalEngine):
    """Runs a network on a device, `slots` requests at once; results come in the order of the submits.

    `open_network` loads device and network; it is entered and left on the one thread that uses them. Timings
    are by the device's clock; with several requests in flight, h2d and d2h hold what the bus made them wait.

    A run is replayed as one CUDA graph. Each number of frames has a context of its own, because a graph holds
    shapes, addresses and the state of the context that it was captured from; the one for `batch` frames is
    made at once, others when they are first asked for. Where capturing fails, work is put on the stream call
    by call, which is said aloud once.

    Raises what `open_network` raises, and BackendError for whatever else fails while opening.
    """

    close_seconds = CLOSE_SECONDS

    def __init__(
        self,
        spec: EngineSpec,
        open_network: OpenNetwork,
        *,
        batch: int = 1,
        slots: int = SLOTS,
    ) -> None:
        self.spec = spec
        self._graphs = True
        self._lost: str | None = None
        self._requests: queue.SimpleQueue[Request | None] = queue.SimpleQueue()  # never more than `slots`
        opened: Future[None] = Future()
        # a daemon: a driver that hangs must not keep the process from ending
        self._thread = threading.Thread(
            target=self._own, args=(open_network, batch, slots, opened), name=type(self).__name__, daemon=True
        )
        self._thread.start()
        opened.result()
        graphs = "CUDA graphs" if self._graphs else "no CUDA graphs"
        description = f"{self._network.description}, streams {slots}, {graphs}"
        super().__init__(spec, description, [slot.frames[:batch] for slot in self._slots])

    def _begin(self, request: Request) -> None:
        self._requests.put(request)

    def _end(self) -> None:
        self._requests.put(None)
        self._thread.join(self.close_seconds)

    def _own(self, open_network: OpenNetwork, batch: int, slots: int, opened: "Future[None]") -> None:
        """The whole life of device and network, on their thread."""
        with contextlib.ExitStack() as owned:
            try:
                self._device, self._network = owned.enter_context(open_network())
                frames = max(batch, self._network.least)
                self._slots = [Slot(self._device, self.spec, frames) for _ in range(slots)]
                for slot in self._slots:
                    self._run(slot, batch)
                self._network.warmed_up()
            except Exception as exc:
                owned.close()
                opened.set_exception(self._opening_error(exc))
                return
            opened.set_result(None)
            self._serve()

    def _opening_error(self, exc: Exception) -> EngineError:
        if isinstance(exc, EngineError):
            return exc
        error = BackendError(
            f"{self.spec.name}: does not open on the GPU ({one_line(exc)}); try another backend"
        )
        error.__cause__ = exc
        return error

    def _serve(self) -> None:
        """Start what is asked for; when nothing is, take in the oldest that is under way."""
        under_way: deque[Request] = deque()
        while True:
            try:
                request = self._requests.get(block=not under_way)
            except queue.Empty:
                self._attempt(self._collect, under_way.popleft())
                continue
            if request is None:
                return
            if self._attempt(self._launch, request):
                under_way.append(request)

    def _attempt(self, step: Callable[[Request], None], request: Request) -> bool:
        """Do one step of a request; where it fails, so does the request, and no other if the GPU goes on."""
        try:
            if self._lost is not None:
                raise EngineError(self._lost)
            step(request)
        except Exception as exc:
            self._settle()
            self._resolve(request, exc)
            return False
        return True

    def _settle(self) -> None:
        """After a failure: let nothing of the failed slot be under way when it is used again."""
        try:
            self._device.synchronise()
        except Exception as exc:
            self._lost = (
                f"{self.spec.name}: {self.description} takes no more work ({one_line(exc)}); "
                "start this program again"
            )

    def _launch(self, request: Request) -> None:
        slot, device = self._slots[request.slot], self._device
        run = self._run(slot, request.count)
        slot.begun.record(slot.stream)
        device.upload(slot.input, slot.frames[: request.count], slot.stream)
        slot.uploaded.record(slot.stream)
        run()
        slot.computed.record(slot.stream)
        device.download(slot.probability[: request.count], slot.output, slot.stream)
        slot.downloaded.record(slot.stream)

    def _collect(self, request: Request) -> None:
        slot = self._slots[request.slot]
        slot.downloaded.wait()
        timing = Timing(
            compute=slot.computed.seconds_since(slot.uploaded),
            h2d=slot.uploaded.seconds_since(slot.begun),
            d2h=slot.downloaded.seconds_since(slot.computed),
        )
        self._resolve(request, Prediction(slot.probability[: request.count].copy(), timing=timing))

    def _run(self, slot: Slot, count: int) -> Enqueue:
        """What computes `count` frames of a slot, made when it is first asked for."""
        count = max(count, self._network.least)
        if count not in slot.runs:
            slot.runs[count] = self._prepare(slot, count)
        return slot.runs[count]

    def _prepare(self, slot: Slot, count: int) -> Enqueue:
        enqueue = self._network.execution(count, slot.input, slot.output, slot.stream)
        self._device.upload(slot.input, slot.frames, slot.stream)
        enqueue()  # the first run compiles and allocates, and neither can be captured
        slot.stream.synchronise()
        if self._network.replays or not self._graphs:
            return enqueue
        try:
            return self._device.capture(slot.stream, enqueue)
        except Exception as exc:
            log.warning("%s: no CUDA graph (%s); going on call by call", self.spec.name, one_line(exc))
            self._graphs = False
            enqueue()  # raises where the attempt has left the device unusable
            slot.stream.synchronise()
            return enqueue
