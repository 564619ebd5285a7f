"""AiStatus over scripted seconds."""

import dataclasses

import numpy as np
import pytest

from rtpolyp.imaging.geometry import make_view
from rtpolyp.live.ai_state import HOLD_SECONDS, LATE, AiState, AiStatus
from rtpolyp.live.frame_analysis import FrameAnalysis
from rtpolyp.tracking.alert import Alert
from rtpolyp.video.frame import Segmentation
from tests.runtime.clips import frame_of, picture

INTERVAL, MAX_AGE = 0.04, 0.15  # seconds
ON = AiState("on")


def frame_at(captured_at):
    return dataclasses.replace(frame_of(picture(0)), captured_at=captured_at)


def result_of(captured_at):
    found = Segmentation(0, 0.0, (), np.zeros((96, 128), np.uint8), make_view((160, 128), (128, 96)), 0.5)
    return FrameAnalysis(found, Alert(False, False, None, None), (), "clear", captured_at, 0.02)


def play(frames, results, own=lambda now: ON):
    """The state at each frame; `results` are the captures whose results are there one interval later."""
    status, states = AiStatus(MAX_AGE), {}
    for captured_at in frames:
        there = [time for time in results if time + INTERVAL <= captured_at]
        newest = result_of(max(there)) if there else None
        states[captured_at] = status(own(captured_at), newest, frame_at(captured_at), captured_at + 0.001)
    return states


def ticks(start, end):
    return [round(start + INTERVAL * index, 6) for index in range(round((end - start) / INTERVAL))]


def test_results_in_time_keep_it_on():
    assert set(play(ticks(1, 4), ticks(1, 4)).values()) == {ON}


def test_a_gap_in_the_results_turns_it_off_and_their_return_on_again():
    states = play(ticks(1, 6), ticks(1, 2) + ticks(3, 6))
    off = [time for time, state in states.items() if state == LATE]
    last = ticks(1, 2)[-1]
    assert off[0] == pytest.approx(last + MAX_AGE, abs=INTERVAL)
    assert off[-1] == pytest.approx(3 + INTERVAL + HOLD_SECONDS, abs=2 * INTERVAL)
    assert len(off) == pytest.approx((off[-1] - off[0]) / INTERVAL, abs=1.1)  # without a break


def test_nothing_is_late_while_no_frames_come_nor_when_they_return():
    """A second without frames: the AI is not to blame."""
    frames = ticks(1, 2) + ticks(3, 4)
    assert set(play(frames, frames).values()) == {ON}


def test_what_the_engine_says_of_itself_goes_first_and_is_held():
    def own(now):
        return AiState("off", "engine restarting") if 2 <= now < 2.1 else ON

    states = play(ticks(1, 4), ticks(1, 4), own)
    off = [time for time, state in states.items() if state.reason == "engine restarting"]
    assert off[0] == pytest.approx(2, abs=INTERVAL)
    assert off[-1] == pytest.approx(2.1 + HOLD_SECONDS, abs=2 * INTERVAL)


def test_starting_is_neither_late_nor_held():
    def own(now):
        return AiState("starting") if now < 2 else AiState("reduced", "every 2nd frame")

    states = play(ticks(1, 3), ticks(2, 3), own)
    assert {state.state for time, state in states.items() if time < 2} == {"starting"}
    assert states[ticks(2, 3)[-1]] == AiState("reduced", "every 2nd frame")
