"""Freed memory stays with the process: the second time a large tensor is made, no page is faulted in."""

import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, torch
{first}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def make():
    torch.ones(48 << 20, dtype=torch.uint8).add_(1)
for _ in range(3):
    make()
before = faults()
for _ in range(60):
    make()
print(faults() - before)
"""
KEEP = "from train.host_memory import keep_freed_memory; assert keep_freed_memory()"


def page_faults(first: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(first=first)],
        capture_output=True,
        text=True,
        check=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")},
    )
    return int(done.stdout)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_kept_memory_is_not_faulted_in_again() -> None:
    # Above 32 MiB glibc always maps anew: 12,288 pages each time, or 24 huge ones.
    assert page_faults(KEEP) * 5 < page_faults("")
