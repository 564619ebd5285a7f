"""The counters of a system that exists on paper."""

from pathlib import Path

import pytest

from rtpolyp.measure.benchmark.conditions import Conditions, Watch


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def system(stolen: int = 0, waited: int = 0) -> dict[str, str]:
    return {
        "proc/stat": f"cpu  {1000 - stolen} 0 0 0 0 0 0 {stolen} 50 0\ncpu0 1 2 3 4 5 6 7 8 9 10\n",
        "proc/pressure/cpu": f"some avg10=0.00 avg60=0.00 avg300=0.00 total={waited}\nfull avg10=0 total=0\n",
    }


def test_steal_is_a_share_of_all_time(tmp_path: Path):
    write(tmp_path, {"proc/stat": "cpu  100 10 20 300 5 1 2 40 50 0\n"})
    watch = Watch(tmp_path)
    write(tmp_path, {"proc/stat": "cpu  180 10 20 390 5 1 2 70 80 0\n"})  # 80 + 90 + 30 stolen
    assert watch.conditions().steal == pytest.approx(30 / 200)


def test_pressure_is_a_share_of_the_time_that_went_by(tmp_path: Path):
    write(tmp_path, system(waited=5_000_000))
    watch = Watch(tmp_path)
    watch._start -= 2.0
    write(tmp_path, system(waited=5_500_000))
    assert watch.conditions().pressure == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("membership", "file", "before", "after"),
    [
        ("0::/box/inner\n", "sys/fs/cgroup/box/cpu.stat", "throttled_usec 100", "throttled_usec 250100"),
        (
            "1:cpu,cpuacct:/box\n",
            "sys/fs/cgroup/cpu/box/cpu.stat",
            "throttled_time 0",
            "throttled_time 250000000",
        ),
    ],
    ids=["version 2, the group above", "version 1"],
)
def test_throttling_by_a_quota(tmp_path: Path, membership: str, file: str, before: str, after: str):
    write(tmp_path, {"proc/self/cgroup": membership, file: f"nr_throttled 0\n{before}\n"})
    watch = Watch(tmp_path)
    write(tmp_path, {file: f"nr_throttled 3\n{after}\n"})
    assert watch.conditions().throttled_seconds == pytest.approx(0.25)


def test_heat_is_counted_over_cores(tmp_path: Path):
    counters = [f"sys/devices/system/cpu/cpu{core}/thermal_throttle/core_throttle_count" for core in (0, 1)]
    write(tmp_path, dict.fromkeys(counters, "7\n"))
    watch = Watch(tmp_path)
    write(tmp_path, {counters[0]: "9\n", counters[1]: "8\n"})
    assert watch.conditions().thermal_events == 3


def test_what_the_system_does_not_tell_is_none(tmp_path: Path):
    assert Watch(tmp_path).conditions() == Conditions(None, None, None, None)


def test_what_appears_midway_is_none(tmp_path: Path):
    watch = Watch(tmp_path)
    write(tmp_path, system(stolen=10))
    assert watch.conditions() == Conditions(None, None, None, None)


def test_this_system_can_be_read():
    conditions = Watch().conditions()
    assert conditions.steal is None or 0 <= conditions.steal <= 1
    assert conditions.pressure is None or 0 <= conditions.pressure <= 1
