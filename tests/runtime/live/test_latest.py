"""Latest between two threads."""

import threading
import time

import pytest

from rtpolyp.live.latest import Latest

SOON = 0.05  # seconds
LONG = 20.0  # seconds: a wait that ends by this one has hung


def test_the_newest_item_wins_and_the_others_are_counted():
    dropped = []
    box: Latest[int] = Latest(lambda: dropped.append(1))
    for item in (1, 2, 3):
        box.put(item)
    assert (box.get(0), len(dropped)) == (3, 2)
    box.put(4)
    assert (box.get(0), len(dropped)) == (4, 2)


def test_an_item_is_taken_once_and_peeked_at_forever():
    box: Latest[str] = Latest()
    assert box.peek() is None
    box.put("frame")
    assert (box.peek(), box.get(0), box.get(0), box.peek()) == ("frame", "frame", None, "frame")


def test_get_waits_as_long_as_it_was_told():
    begun = time.monotonic()
    assert Latest[int]().get(SOON) is None
    assert time.monotonic() - begun >= SOON


@pytest.mark.parametrize("act", [lambda box: box.put(7), lambda box: box.close()])
def test_a_waiting_consumer_wakes(act):
    box: Latest[int] = Latest()
    threading.Timer(SOON, act, (box,)).start()
    begun = time.monotonic()
    assert box.get(LONG) == (None if box.closed else 7)
    assert time.monotonic() - begun < LONG / 2


def test_what_was_put_before_close_is_given_and_nothing_after():
    box: Latest[int] = Latest()
    box.put(1)
    box.close()
    box.put(2)
    assert (box.get(), box.get(), box.closed) == (1, None, True)
