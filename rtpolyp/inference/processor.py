"""Which processor this process runs on: a measurement is worth nothing without it."""

import os
import platform
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Processor", "this_processor"]


@dataclass(frozen=True)
class Processor:
    """Name, instruction sets and usable cores."""

    name: str  # as the maker calls it, e.g. "AMD EPYC"
    flags: tuple[str, ...]  # instruction sets as Linux names them, sorted; empty elsewhere
    cores: int  # those this process may use; a container or taskset limits them below the machine's


def this_processor() -> Processor:
    """Describe the processor, from /proc/cpuinfo where there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    fields: dict[str, str] = {}
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name") or platform.processor() or platform.machine()
    flags = fields.get("flags") or fields.get("Features", "")  # x86; ARM
    return Processor(name, tuple(sorted(flags.split())), cores)
