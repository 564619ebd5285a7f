"""PacketQueue: bounded, and never in the way of an input that does not wait."""

import threading
import time
from types import SimpleNamespace

import pytest

from rtpolyp.video.live import packet_queue
from rtpolyp.video.live.packet_queue import PREFETCH, PacketQueue


def packet(number: int, key: bool = False, kind: str = "video", size: int = 1000):
    return SimpleNamespace(number=number, is_keyframe=key, size=size, stream=SimpleNamespace(type=kind))


def drain(queue: PacketQueue) -> list[tuple[int, bool]]:
    """(number, whether to decode) of all that is in the queue."""
    out = []
    while (arrival := queue.get(0.0)) is not None:
        out.append((arrival.packet.number, arrival.decode))
    return out


def test_packets_come_in_order():
    queue = PacketQueue(waits=False)
    assert all(queue.put(packet(number, key=number == 0)) for number in range(5))
    assert drain(queue) == [(number, True) for number in range(5)]
    assert queue.get(0.01) is None


def test_a_writer_that_waits_loses_nothing():
    queue = PacketQueue(waits=True)
    thread = threading.Thread(target=lambda: [queue.put(packet(number)) for number in range(3 * PREFETCH)])
    thread.start()
    time.sleep(0.05)
    assert [queue.get(1.0).packet.number for _ in range(3 * PREFETCH)] == list(range(3 * PREFETCH))
    thread.join()


def test_a_writer_that_waits_is_woken_by_close():
    queue = PacketQueue(waits=True)
    results = []
    thread = threading.Thread(
        target=lambda: results.extend(queue.put(packet(n)) for n in range(PREFETCH + 1))
    )
    thread.start()
    time.sleep(0.05)
    queue.close()
    thread.join(1.0)
    assert results[-1] is False


def test_a_late_reader_leaps_to_the_newest_key_frame(monkeypatch):
    monkeypatch.setattr(packet_queue, "LAG_SECONDS", 0.0)
    queue = PacketQueue(waits=False)
    for number in range(10):
        queue.put(packet(number, key=number in (0, 3, 6)))
    queue.put(packet(10, key=True, kind="audio"))
    assert drain(queue) == [(number, number >= 6) for number in range(11)]


def test_an_overflow_goes_on_at_a_key_frame(monkeypatch):
    monkeypatch.setattr(packet_queue, "LIMIT_BYTES", 5000)
    queue = PacketQueue(waits=False)
    for number in range(10):
        queue.put(packet(number, key=number in (0, 8)))
    assert drain(queue) == [(8, True), (9, True)]
    assert queue.dropped == 8


def test_packets_without_content_overflow_as_well(monkeypatch):
    monkeypatch.setattr(packet_queue, "LIMIT_PACKETS", 5)
    queue = PacketQueue(waits=False)
    for number in range(9):
        queue.put(packet(number, key=number in (0, 7), size=0))
    assert drain(queue) == [(7, True), (8, True)]


def test_the_end_comes_after_the_last_packet():
    queue = PacketQueue(waits=False)
    queue.put(packet(0, key=True))
    queue.end()
    assert queue.get(0.0).packet.number == 0
    with pytest.raises(EOFError):
        queue.get(0.0)


def test_an_error_of_the_writer_is_raised_in_the_reader():
    queue = PacketQueue(waits=False)
    queue.end(OSError("gone"))
    with pytest.raises(OSError, match="gone"):
        queue.get(0.0)
