"""scripts/soak.py rehearsed: numbers survive encoding, and figures are those of what was shown."""

from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from rtpolyp.verify.counter import draw_counter, read_counter
from rtpolyp.video.source import open_source
from scripts.live.counted_clip import write_counted_clip
from scripts.soak import LAP, PROMISES, RATE, Sight, broken_promises, recorded, seen

RATE_HZ = float(RATE)


@pytest.mark.parametrize("number", [0, 1, 599, 4095])
def test_counter(number: int):
    bgr = np.full((64, 320, 3), 255, np.uint8)
    draw_counter(bgr, number)
    assert read_counter(bgr[..., 0]) == number


@pytest.mark.parametrize("number", [-1, 4096])
def test_counter_fails(number: int):
    with pytest.raises(ValueError, match="12 bits"):
        draw_counter(np.zeros((64, 320, 3), np.uint8), number)


def test_counter_tells_when_it_is_not_there():
    assert read_counter(np.zeros((64, 320), np.uint8)) is None
    assert read_counter(np.zeros((20, 20), np.uint8)) is None


def test_counter_survives_encoding(tmp_path: Path):
    clip = tmp_path / "counted.h264"
    write_counted_clip(clip, 12, (320, 256), Fraction(30))
    with open_source(clip) as source:
        assert [read_counter(frame.luma()) for frame in source] == list(range(12))


def test_recorded_counts_what_is_missing(tmp_path: Path):
    clip = tmp_path / "counted.h264"
    write_counted_clip(clip, 6, (320, 256), RATE)
    figures = recorded(clip)
    assert (figures["frames"], figures["missing_but_for_the_cut"]) == (6, 0)


def watched(server_begun: float, age: float, until: float, cut: tuple[float, float]) -> list[Sight]:
    """Each frame shown `age` seconds after it was published, the last again and again during the cut."""
    sights = []
    for number in range(int(until * RATE_HZ)):
        published = server_begun + number / RATE_HZ
        lost = cut[0] <= published < cut[1] + 1
        shown = int((cut[0] - server_begun) * RATE_HZ) if lost else number
        sights.append(Sight(published + age, shown % LAP))
    return sights


def test_seen():
    cut = SimpleNamespace(begun=125.0, ended=127.0)
    figures = seen(watched(100.0, 0.05, 40.0, (125.0, 127.0)), [100.0], cut)
    assert figures["age_p50_ms"] == pytest.approx(50, abs=1)
    assert figures["age_max_ms"] == pytest.approx(50, abs=1)
    assert figures["frames_per_second"] == pytest.approx(30, abs=0.1)
    assert figures["recovery_seconds"] == pytest.approx(1.05, abs=0.05)
    assert figures["gap_max_ms"] == pytest.approx(33.3, abs=0.5)


def test_seen_counts_repeated_pictures_once():
    cut = SimpleNamespace(begun=125.0, ended=127.0)
    sights = watched(100.0, 0.05, 40.0, (125.0, 127.0))
    halved = [sight._replace(number=sight.number // 2 * 2) for sight in sights]
    figures = seen(halved, [100.0], cut)
    assert figures["frames_per_second"] == pytest.approx(15, abs=0.1)
    assert figures["pictures_per_second"] == pytest.approx(30, abs=0.1)


def test_broken_promises():
    good = {key: (most if least is None else least) for key, (least, most) in PROMISES.items()}
    assert broken_promises({"errors": [], **good}) == []
    bad = {"errors": ["disk full"], **good, "coverage": 0.8, "recovery_seconds": 9.0}
    assert broken_promises(bad) == [
        "disk full", "coverage: 0.8, promised at least 0.9", "recovery_seconds: 9, promised at most 5",
    ]  # fmt: skip
