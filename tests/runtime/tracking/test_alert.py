"""AlertPolicy: one alert a track, after its delay, held, and not in bad frames."""

import numpy as np
import pytest

from rtpolyp.errors import InputError
from rtpolyp.imaging.geometry import Rect
from rtpolyp.imaging.polyp import Polyp
from rtpolyp.tracking.alert import Alert, AlertCounters, AlertPolicy

FPS = 25
NONE = Alert(active=False, started=False, track=None, since_seconds=None)


def polyp(track: int | None) -> Polyp:
    contour = np.float32([[0, 0], [9, 0], [9, 9]])
    return Polyp(Rect(0, 0, 9, 9), 40.5, 0.9, contour, track, frame_size=(9, 9))


def watch(
    policy: AlertPolicy,
    frames: list[tuple[int, ...]],
    fps: float = FPS,
    bad: dict[int, str] | None = None,
    first: int = 0,
) -> list[Alert]:
    """`frames` holds the tracks outlined in each; `bad` says which frames are suppressed by what."""
    return [
        policy(map(polyp, tracks), (first + k) / fps, suppressed_by=(bad or {}).get(k))
        for k, tracks in enumerate(frames)
    ]


@pytest.mark.parametrize("fps", [25, 29.97, 50, 60])
@pytest.mark.parametrize("delay_ms", [0, 100, 200, 400])
def test_an_alert_comes_after_its_delay_whatever_the_rate(fps: float, delay_ms: float):
    alerts = watch(AlertPolicy(delay_ms), [(1,)] * 60, fps)
    first = next(k for k, alert in enumerate(alerts) if alert.active)
    assert delay_ms - 0.1 <= 1000 * first / fps < delay_ms + 1000 / fps
    assert [k for k, alert in enumerate(alerts) if alert.started] == [first]
    assert alerts[-1] == Alert(active=True, started=False, track=1, since_seconds=first / fps)


def test_a_flash_shorter_than_the_delay_never_alerts():
    policy = AlertPolicy()
    assert watch(policy, ([(1,)] * 5 + [()]) * 4 + [()] * 20) == [NONE] * 44


def test_support_has_to_be_continuous():
    alerts = watch(AlertPolicy(), [(1,)] * 4 + [()] + [(1,)] * 6)
    assert [alert.active for alert in alerts] == [False] * 10 + [True]


def test_an_alert_is_held_and_does_not_flicker():
    frames = [(1,) if k < 8 or k % 3 == 0 else () for k in range(40)]
    assert all(alert.active for alert in watch(AlertPolicy(), frames)[5:])
    gone = watch(AlertPolicy(hold_ms=120), [(1,)] * 6 + [()] * 6)
    assert [alert.active for alert in gone[5:]] == [True] * 4 + [False] * 3


def test_a_track_alerts_once_in_its_life():
    policy = AlertPolicy(hold_ms=0)
    alerts = watch(policy, [(1,)] * 8 + [()] * 9 + [(1,)] * 8)
    assert [alert.active for alert in alerts] == [False] * 5 + [True] * 3 + [False] * 9 + [True] * 8
    assert sum(alert.started for alert in alerts) == policy.counters.activations == 1


def test_two_tracks_alert_apart():
    alerts = watch(AlertPolicy(), [(1,)] * 3 + [(1, 2)] * 10)
    assert [k for k, alert in enumerate(alerts) if alert.started] == [5, 8]
    assert [alert.track for alert in alerts[5:]] == [1, 1, 1, 2, 2, 2, 2, 2]


def test_a_picture_alone_raises_no_alert():
    assert AlertPolicy(0)([polyp(None)], 0.0) == NONE


def test_bad_frames_support_nothing():
    policy = AlertPolicy()
    alerts = watch(policy, [(1,)] * 14, bad={4: "blurred", 5: "frozen", 6: "outside"})
    assert [alert.active for alert in alerts] == [False] * 12 + [True] * 2


def test_an_alert_ends_in_lasting_bad_frames_and_comes_back_without_a_second_start():
    policy = AlertPolicy()
    alerts = watch(policy, [(1,)] * 60, bad=dict.fromkeys(range(10, 40), "blurred"))
    assert not any(alert.active for alert in alerts[23:40])
    assert all(alert.active for alert in alerts[40:])
    assert policy.counters.activations == 1


def test_counters():
    policy = AlertPolicy()
    watch(
        policy, [(1,)] * 8 + [(2,)] * 3 + [(3,)] * 8 + [()] * 20, bad=dict.fromkeys(range(11, 19), "blurred")
    )
    assert policy.counters == AlertCounters(
        activations=1,
        suppressed_short=1,
        suppressed_quality=1,
        delay_seconds=pytest.approx(0.2),
        longest_delay_seconds=pytest.approx(0.2),
    )
    assert policy.counters.suppressed == 2


def test_the_delay_counts_from_the_first_outline():
    policy = AlertPolicy()
    watch(policy, [(1,)] * 4 + [()] + [(1,)] * 10)
    assert policy.counters.activations == 1
    assert policy.counters.delay_seconds == pytest.approx(10 / FPS)


def test_a_reset_forgets_tracks_and_keeps_counters():
    policy = AlertPolicy()
    watch(policy, [(1,)] * 6)
    policy.reset()
    assert policy([], 0.24) == NONE
    assert policy.counters.activations == 1


@pytest.mark.parametrize("pts_seconds", [0.0, 0.2])
def test_a_timestamp_that_does_not_advance_starts_anew(pts_seconds: float):
    policy = AlertPolicy()
    assert watch(policy, [(1,)] * 6)[-1].active
    assert policy([polyp(2)], pts_seconds) == NONE


@pytest.mark.parametrize("values", [(-1, 500), (200, -1), (float("nan"), 500)])
def test_a_negative_time_fails(values: tuple[float, float]):
    with pytest.raises(InputError, match=r"_ms (-1|nan) is outside"):
        AlertPolicy(*values)
