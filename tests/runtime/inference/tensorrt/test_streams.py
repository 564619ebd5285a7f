"""The slot machinery on a simulated GPU: overlap, graphs, failures at every call, and an orderly end."""

import logging
import threading
import time

import numpy as np
import pytest

from rtpolyp.errors import BackendError, EngineBusy, EngineError
from rtpolyp.inference.tensorrt.streams import StreamEngine
from tests.runtime.simulated_device import WAIT_SECONDS, SimulatedDevice, wait_for
from tests.runtime.simulated_network import SPEC, noise, open_on
from tests.runtime.stub_engine import redness


def test_submit_does_not_wait_for_a_device_that_stands_still():
    device = SimulatedDevice()
    with open_on(device) as engine:
        device.hold()
        futures = [engine.submit(noise(index)) for index in range(engine.capacity)]
        with pytest.raises(EngineBusy, match="3 requests are in flight"):
            engine.submit(noise(3))
        assert not any(future.done() for future in futures)
        device.release()
        for index, future in enumerate(futures):
            np.testing.assert_array_equal(future.result(WAIT_SECONDS).probability, redness(noise(index)))


def test_slots_overlap():
    device = SimulatedDevice()
    with open_on(device) as engine:
        device.hold()
        before = device.calls["download"]
        engine.submit(noise(0))
        wait_for(lambda: device.calls["wait"])  # the first is under way, and waited for
        others = [engine.submit(noise(1)), engine.submit(noise(2))]
        device.release()
        for future in others:
            future.result(WAIT_SECONDS)
        assert device.calls["download"] == before + 3


def test_the_timing_is_the_devices():
    with open_on(SimulatedDevice()) as engine:
        start = time.perf_counter()
        timing = engine.submit(noise(0)).result(WAIT_SECONDS).timing
        elapsed = time.perf_counter() - start
    assert min(timing.h2d, timing.compute, timing.d2h) > 0
    assert timing.h2d + timing.compute + timing.d2h < elapsed


def test_a_network_that_replays_by_itself_is_not_captured():
    device = SimulatedDevice()
    with open_on(device, replays=True) as engine:
        np.testing.assert_array_equal(
            engine.submit(noise(0)).result(WAIT_SECONDS).probability, redness(noise(0))
        )
        assert engine.description == "simulated fp16, streams 3, CUDA graphs"
    assert not device.calls["capture"]


def test_without_graphs_it_goes_on_and_says_so_once(caplog):
    device = SimulatedDevice(can_capture=False)
    with caplog.at_level(logging.WARNING), open_on(device) as engine:
        for index in range(6):
            found = engine.submit(noise(index)).result(WAIT_SECONDS).probability
            np.testing.assert_array_equal(found, redness(noise(index)))
        assert engine.description == "simulated fp16, streams 3, no CUDA graphs"
    (record,) = caplog.records
    assert record.message.startswith("simulated: no CUDA graph (operation not permitted")
    assert device.hazards == []


def test_fewer_frames_than_the_network_takes_are_run_as_that_many():
    device = SimulatedDevice()
    with open_on(device, least=4) as engine:
        assert engine.batch == 1
        np.testing.assert_array_equal(
            engine.submit(noise(0)).result(WAIT_SECONDS).probability, redness(noise(0))
        )
    assert device.calls["execution"] == engine.capacity
    assert device.hazards == []


def test_every_number_of_frames_has_a_context_and_a_graph_of_its_own():
    device = SimulatedDevice()
    with open_on(device, batch=3) as engine:
        assert device.graphs == engine.capacity
        for count in (1, 2, 3, 1, 2, 3):
            found = engine.submit(noise(count, count)).result(WAIT_SECONDS).probability
            np.testing.assert_array_equal(found, redness(noise(count, count)))
    assert device.graphs == device.calls["execution"] == engine.capacity + 2  # one slot served all


AT_OPENING = (
    "host_array", "memory", "stream", "event", "execution", "upload", "enqueue", "stream.synchronise",
    "warmed_up",
)  # fmt: skip


@pytest.mark.parametrize("call", AT_OPENING)
@pytest.mark.parametrize("lost", [False, True])
def test_a_failure_while_opening_is_one_line_and_frees_everything(call: str, lost: bool):
    device = SimulatedDevice()
    device.failing, device.lost = call, lost
    before = threading.active_count()
    with pytest.raises(BackendError, match=rf"^simulated: .*{call} was told to fail at once\).*$") as caught:
        open_on(device)
    assert isinstance(caught.value.__cause__, RuntimeError)
    wait_for(lambda: threading.active_count() == before)
    assert device.handed_out == 0
    assert device.hazards == []


def test_a_device_lost_in_the_attempt_to_capture_is_a_failure_to_open(caplog):
    device = SimulatedDevice()
    device.failing, device.lost = "capture", True
    with pytest.raises(BackendError, match="illegal memory access"):
        open_on(device)


def test_an_error_of_ours_while_opening_stays_as_it_is():
    def refuses():
        raise EngineError("a.plan: changed")

    with pytest.raises(EngineError, match=r"^a\.plan: changed$"):
        StreamEngine(SPEC, refuses)


IN_A_REQUEST = ("upload", "replay", "download", "record", "wait", "seconds_since")


@pytest.mark.parametrize("call", IN_A_REQUEST)
@pytest.mark.parametrize("eagerness", [0.0, 0.5])
def test_a_failed_request_fails_alone(call: str, eagerness: float):
    device = SimulatedDevice(eagerness=eagerness)
    with open_on(device) as engine:
        for round_ in range(3):
            device.failing = call
            error = engine.submit(noise(0)).exception(WAIT_SECONDS)
            assert isinstance(error, EngineError)
            assert isinstance(error.__cause__, RuntimeError)
            assert f"({call} was told to fail at once) on simulated fp16" in str(error)
            for index in range(2 * engine.capacity):
                found = engine.submit(noise(10 * round_ + index)).result(WAIT_SECONDS).probability
                np.testing.assert_array_equal(found, redness(noise(10 * round_ + index)))
    assert device.hazards == []


@pytest.mark.parametrize("call", IN_A_REQUEST)
def test_after_the_device_is_lost_every_submit_fails_and_says_what_to_do(call: str):
    device = SimulatedDevice()
    with open_on(device) as engine:
        device.hold()
        in_flight = [engine.submit(noise(index)) for index in range(engine.capacity)]
        wait_for(lambda: device.calls["wait"])
        device.failing, device.lost = call, True
        device.release()
        for future in in_flight:
            future.exception(WAIT_SECONDS)  # any outcome, but one
        engine.submit(noise(0)).exception(WAIT_SECONDS)  # by now it is lost
        for _ in range(2 * engine.capacity):
            with pytest.raises(EngineError, match=r"no more work \(an illegal memory access .*; start this"):
                engine.submit(noise(0)).result(WAIT_SECONDS)
    assert device.hazards == []


def test_close_takes_in_what_is_in_flight():
    device = SimulatedDevice()
    engine = open_on(device)
    futures = [engine.submit(noise(index)) for index in range(engine.capacity)]
    engine.close()
    for index, future in enumerate(futures):
        np.testing.assert_array_equal(future.result(0).probability, redness(noise(index)))
    assert device.handed_out == 0
    assert device.hazards == []


def test_an_event_that_never_comes_does_not_hang_close(monkeypatch):
    monkeypatch.setattr(StreamEngine, "close_seconds", 0.1)
    device = SimulatedDevice()
    engine = open_on(device)
    device.hold()
    engine.submit(noise(0))
    with pytest.raises(
        EngineError, match=r"1 requests got no answer within 0.1 s from simulated fp16.*; end this"
    ):
        engine.close()
    device.release()
