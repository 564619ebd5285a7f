"""The slot machinery against a GPU that does everything that it may, and the proof that this would tell.

`misbehaviour` puts an engine through its paces on a SimulatedDevice and lists what went wrong. The machinery
must come out clean; each of the BROKEN variants, one rule of CUDA's neglected in each, must not.
"""

import copy
from collections import deque
from concurrent.futures import Future
from functools import partial

import numpy as np
import pytest

from rtpolyp.errors import EngineBusy, EngineError
from rtpolyp.inference.engine import Prediction
from rtpolyp.inference.tensorrt.streams import Slot, StreamEngine
from tests.runtime.simulated_device import WAIT_SECONDS, SimulatedDevice, wait_for
from tests.runtime.simulated_network import SIDE, SPEC, SimulatedContext, SimulatedNetwork, noise, opener
from tests.runtime.stub_engine import redness


def wrong_results(asked: list[tuple[np.ndarray, Future[Prediction]]], order: list[int]) -> list[str]:
    """What became of requests that ended otherwise than with the redness of their frames, or out of turn."""
    problems = [] if order == sorted(order) else [f"results in the order {order}"]
    for frames, future in asked:
        if not future.done() or future.exception():
            problems.append("no result")
        elif not np.array_equal(future.result().probability, redness(frames)):
            problems.append("a wrong result")
    return problems


def misbehaviour(
    engine_class: type[StreamEngine],
    seed: int,
    eagerness: float,
    network_class: type[SimulatedNetwork] = SimulatedNetwork,
) -> list[str]:
    """What goes wrong while an engine is full, is kept full, meets a failure, and is closed."""
    device = SimulatedDevice(seed, eagerness=eagerness)
    engine = engine_class(SPEC, opener(device, network_class(device, SIDE, SIDE)), batch=2)
    problems: list[str] = []
    asked: list[tuple[np.ndarray, Future[Prediction]]] = []
    order: list[int] = []

    def submit(frames: np.ndarray) -> Future[Prediction]:
        number = len(asked)
        future = engine.submit(frames)
        asked.append((frames.copy(), future))
        future.add_done_callback(lambda _: order.append(number))
        frames[...] = 0  # the caller's again
        return future

    def fill() -> None:
        """As many as go in while the device stands still."""
        device.hold()
        launched = device.calls["upload"]
        try:
            for index in range(engine.capacity + 1):
                submit(noise(index, 2))
                wait_for(lambda: device.calls["upload"] > launched)
            problems.append("more requests than slots")
        except EngineBusy:
            pass
        device.release()

    def keep_full() -> None:
        waiting = deque(future for _, future in asked)
        for index in range(30):
            while len(waiting) >= engine.capacity:
                waiting.popleft().result(WAIT_SECONDS)
            waiting.append(submit(noise(100 + index, 1 + index % 2)))
        for future in waiting:
            future.result(WAIT_SECONDS)

    def fail_once() -> None:
        device.failing = "replay"
        if not isinstance(failed := engine.submit(noise(200)).exception(WAIT_SECONDS), EngineError):
            problems.append(f"a failure ended in {failed!r}")
        submit(noise(201)).result(WAIT_SECONDS)

    try:
        fill()
        keep_full()
        fail_once()
        engine.close()
    except Exception as exc:
        problems.append(repr(exc))
        device.release()
    if device.graphs != device.calls["execution"]:
        problems.append("no graph")
    return problems + wrong_results(asked, order) + device.hazards


GRID = [(seed, eagerness) for seed in range(4) for eagerness in (0.0, 0.5, 0.95)]


@pytest.mark.parametrize(("seed", "eagerness"), GRID)
def test_the_machinery_keeps_every_rule(seed: int, eagerness: float):
    assert misbehaviour(StreamEngine, seed, eagerness) == []


class Damaged(StreamEngine):
    """Breaks its slots as soon as it has made them; their clocks stand still, so as not to tell first."""

    def damage(self, slot: Slot) -> None:
        raise NotImplementedError

    def _run(self, slot, count):
        if not slot.runs:
            for event in (slot.uploaded, slot.computed, slot.downloaded):
                event.seconds_since = lambda earlier: 0.0
            self.damage(slot)
        return super()._run(slot, count)


class NeverWaits(Damaged):
    def damage(self, slot):
        slot.downloaded.wait = lambda: None


class WaitsForTheComputationOnly(Damaged):
    def damage(self, slot):
        slot.downloaded.wait = slot.computed.wait


class LosesTheLastEvent(Damaged):
    def damage(self, slot):
        slot.downloaded.record = lambda stream: None


class RecordsBeforeTheDownload(Damaged):
    def damage(self, slot):
        slot.computed.record = slot.downloaded.record
        slot.downloaded.record = lambda stream: None


class SlotsShareTheirInput(Damaged):
    def damage(self, slot):
        slot.input = self._slots[0].input


class SlotsShareTheirOutput(Damaged):
    def damage(self, slot):
        slot.output = self._slots[0].output


class SlotsShareTheirHostBuffer(Damaged):
    def damage(self, slot):
        slot.frames = self._slots[0].frames


class ComputesOnAnotherStream(StreamEngine):
    def _prepare(self, slot, count):
        elsewhere = copy.copy(slot)
        elsewhere.stream = self._slots[self._slots.index(slot) - 1].stream
        return super()._prepare(elsewhere, count)


class RunsAsManyFramesAsEver(StreamEngine):
    def _run(self, slot, count):
        return super()._run(slot, 1)


class FreesTheSlotAtLaunch(StreamEngine):
    def _launch(self, request):
        super()._launch(request)
        self._free.append(request.slot)


class GivesItsOwnBufferAway(StreamEngine):
    def _collect(self, request):
        slot = self._slots[request.slot]
        slot.downloaded.wait()
        self._resolve(request, Prediction(slot.probability[: request.count]))


class LeavesFailedWorkUnderWay(StreamEngine):
    def _settle(self):
        pass


class CapturesItsFirstRun(StreamEngine):
    def _prepare(self, slot, count):
        enqueue = self._network.execution(count, slot.input, slot.output, slot.stream)
        try:
            return self._device.capture(slot.stream, enqueue)
        except RuntimeError:
            return enqueue


class FreesOnTheCallersThread(StreamEngine):
    def _end(self):
        self._device.__exit__()
        super()._end()


class OneContextForAll(SimulatedNetwork):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.context = SimulatedContext(self._device, SIDE, SIDE)

    def execution(self, count, frames, probability, stream):
        return partial(self.context.enqueue, count, frames, probability, stream)


OVERWRITTEN = "host memory was overwritten while its upload was under way"
BROKEN: dict[type[StreamEngine], str] = {  # and how it shows
    NeverWaits: "a wrong result",
    WaitsForTheComputationOnly: "a wrong result",
    LosesTheLastEvent: "a wrong result",
    RecordsBeforeTheDownload: "a wrong result",
    SlotsShareTheirInput: "a wrong result",
    SlotsShareTheirOutput: "a wrong result",
    SlotsShareTheirHostBuffer: OVERWRITTEN,
    ComputesOnAnotherStream: "a wrong result",
    RunsAsManyFramesAsEver: "a wrong result",
    FreesTheSlotAtLaunch: "more requests than slots",
    GivesItsOwnBufferAway: "a wrong result",
    LeavesFailedWorkUnderWay: OVERWRITTEN,
    CapturesItsFirstRun: "no graph",
    FreesOnTheCallersThread: "closed on another thread than the owner's",
}


@pytest.mark.parametrize("broken", BROKEN, ids=lambda engine: engine.__name__)
def test_a_broken_machinery_shows(broken: type[StreamEngine]):
    assert any(BROKEN[broken] in misbehaviour(broken, seed, eagerness) for seed, eagerness in GRID)


def test_one_context_for_two_streams_shows():
    assert any("a wrong result" in misbehaviour(StreamEngine, *case, OneContextForAll) for case in GRID)
