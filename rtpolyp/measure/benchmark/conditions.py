"""What disturbed a measurement, as far as the system tells: steal, pressure, throttling."""

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Conditions", "Watch"]

STEAL = 7  # column of /proc/stat: user nice system idle iowait irq softirq steal
TIMES = 8  # columns that add up to all of a core's time; guest time is within user's


@dataclass(frozen=True)
class Conditions:
    """What disturbed a measurement, between two moments; None where the system does not tell."""

    steal: float | None  # share of the cores' time that the hypervisor gave to other machines
    pressure: float | None  # share of the time in which some task, of any program, waited for a core
    throttled_seconds: float | None  # in which a control group's quota held this process back
    thermal_events: int | None  # times that a core lowered its clock because it was hot


class Watch:
    """Reads the counters when made; `conditions` tells what they gained since."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._start = time.monotonic()
        self._before = self._read()

    def conditions(self) -> Conditions:
        """What happened since this watch was made."""
        elapsed = time.monotonic() - self._start
        gained = {
            name: after - before
            for name, after in self._read().items()
            if after is not None and (before := self._before[name]) is not None
        }
        waited, total = gained.get("pressure_us"), gained.get("total", 0)
        throttled, thermal = gained.get("throttled_us"), gained.get("thermal")
        return Conditions(
            steal=gained["steal"] / total if total else None,
            pressure=None if waited is None else min(1.0, waited / 1e6 / elapsed),
            throttled_seconds=None if throttled is None else throttled / 1e6,
            thermal_events=None if thermal is None else int(thermal),
        )

    def _read(self) -> dict[str, float | None]:
        steal, total = self._processor_time()
        return {
            "steal": steal,
            "total": total,
            "pressure_us": self._pressure(),
            "throttled_us": self._throttled(),
            "thermal": self._thermal(),
        }

    def _processor_time(self) -> tuple[float | None, float | None]:
        """Jiffies stolen, and in all."""
        for line in self._lines("proc/stat"):
            name, *fields = line.split()
            if name == "cpu" and len(fields) >= TIMES:
                return float(fields[STEAL]), float(sum(map(int, fields[:TIMES])))
        return None, None

    def _pressure(self) -> float | None:
        """Microseconds; a line is "some avg10=0.00 avg60=0.00 avg300=0.00 total=12345"."""
        for line in self._lines("proc/pressure/cpu"):
            if line.startswith("some") and "total=" in line:
                return float(line.rpartition("total=")[2])
        return None

    def _throttled(self) -> float | None:
        """Microseconds, of the group or the one above it whose quota bit hardest."""
        found: list[float] = []
        for line in self._lines("proc/self/cgroup"):  # "0::/user.slice" (v2) or "1:cpu,cpuacct:/docker/x"
            _, _, rest = line.partition(":")
            controllers, _, path = rest.partition(":")
            if controllers and "cpu" not in controllers.split(","):
                continue
            mount = self._root / "sys/fs/cgroup" / ("cpu" if controllers else "")
            group = mount / path.strip().lstrip("/")
            for folder in (group, *group.parents):
                if not folder.is_relative_to(mount):
                    break
                for stat in self._lines(folder / "cpu.stat"):
                    key, _, value = stat.partition(" ")
                    if key == "throttled_usec":
                        found.append(float(value))
                    elif key == "throttled_time":  # v1: nanoseconds
                        found.append(float(value) / 1000)
        return max(found, default=None)

    def _thermal(self) -> float | None:
        """Events over all cores; only Intel's driver counts them."""
        counters = self._root.glob("sys/devices/system/cpu/cpu[0-9]*/thermal_throttle/core_throttle_count")
        values = [float(line) for path in counters for line in self._lines(path)]
        return sum(values) if values else None

    def _lines(self, path: str | Path) -> list[str]:
        with contextlib.suppress(OSError):  # no such file outside Linux, no permission in some containers
            return (self._root / path).read_text(encoding="utf-8", errors="replace").splitlines()
        return []
