import pytest

from rtpolyp.live.controls import HELP, Controls, press
from rtpolyp.settings import Settings
from rtpolyp.video.window import CLOSED

START = Controls(Settings(0.43, 0.001, 0.6))


def after(*keys: str | None, start: Controls = START) -> Controls:
    state = start
    for key in keys:
        state = press(key, state)
    return state


@pytest.mark.parametrize("key", [None, "", "x", "enter", "tab", "é"])
def test_other_keys_change_nothing(key: str | None) -> None:
    assert press(key, START) is START


def test_o_switches_the_overlay() -> None:
    off = after("o")
    assert not off.settings.overlay
    assert after("o", start=off) == START


def test_y_goes_through_the_styles_and_comes_round() -> None:
    assert [after(*"y" * presses).settings.style for presses in range(4)] == [
        "outline",
        "fill",
        "box",
        "outline",
    ]


def test_plus_and_minus_move_the_threshold_by_a_twentieth() -> None:
    assert after("+").settings.threshold == pytest.approx(0.48)
    assert after("=").settings.threshold == pytest.approx(0.48)
    assert after("-").settings.threshold == pytest.approx(0.38)
    assert after(*"+-" * 50) == START  # no drift


@pytest.mark.parametrize(("key", "end"), [("+", 0.99), ("-", 0.01)])
def test_the_threshold_stops_inside_0_to_1(key: str, end: float) -> None:
    assert after(*key * 100).settings.threshold == end


@pytest.mark.parametrize(("key", "outside"), [("+", 0.995), ("-", 0.005)])
def test_a_key_never_moves_the_threshold_the_other_way(key: str, outside: float) -> None:
    assert after(key, start=Controls(Settings(outside, 0, 0))).settings.threshold == outside


def test_settings_are_swapped_whole() -> None:
    before = START.settings
    changed = after("o", "+", "y").settings
    assert before == Settings(0.43, 0.001, 0.6)
    assert (changed.minimum_area, changed.minimum_confidence) == (0.001, 0.6)


def test_space_freezes_and_goes_on() -> None:
    assert after("space").frozen
    assert after("space", "space") == START


def test_each_s_asks_for_one_snapshot() -> None:
    assert after("s", "o", "s").snapshots == 2


def test_m_mutes_and_unmutes() -> None:
    assert after("m").muted
    assert after("M", "m") == START  # caps lock does not matter


@pytest.mark.parametrize("key", ["q", "Q", "esc", CLOSED])
def test_q_esc_and_the_closed_window_quit(key: str) -> None:
    assert after(key).quit


def test_the_help_line_names_every_key() -> None:
    for word in ("o overlay", "y style", "+ - threshold", "space freeze", "s snapshot", "m mute", "q quit"):
        assert word in HELP
        key = word.split()[0]
        assert press(key, START) is not START
