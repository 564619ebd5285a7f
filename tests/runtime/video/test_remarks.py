"""Remarks are said once, and come to an end."""

import logging

from rtpolyp.video.remarks import MOST_LINES, Remarks


def test_a_sender_that_is_always_another_does_not_fill_the_log(caplog):
    remarks = Remarks("sender")
    with caplog.at_level(logging.WARNING):
        for number in range(3 * MOST_LINES):
            remarks.say(f"{number} streams")
            remarks.say("0 streams")
    assert len(remarks.lines) == len(caplog.records) == MOST_LINES
