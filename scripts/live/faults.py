"""What can go wrong with a clip's packets and with a disk, made to go wrong."""

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from rtpolyp.verify.faults import FAULT_SECONDS

__all__ = ["small_disk", "with_corrupt_packets"]

DISK_MIB = 8


def with_corrupt_packets(clip: Path, target: Path) -> Path:
    """A copy in which every third packet of a second is noise but for its head and tail."""
    content, rng = bytearray(clip.read_bytes()), np.random.default_rng(0)
    with av.open(str(clip)) as container:
        for index, packet in enumerate(container.demux(video=0)):
            if packet.pts is None or index % 3 or not 0 <= packet.pts * packet.time_base - FAULT_SECONDS < 1:
                continue
            if packet.pos is None:
                continue
            begin, end = packet.pos + packet.size // 4, packet.pos + packet.size * 3 // 4
            content[begin:end] = rng.bytes(end - begin)
    target.write_bytes(content)
    return target


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[str]:
    """Make `folder` a disk that fills up within a session; say of what kind."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.geteuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0:
        try:
            yield f"a disk of {DISK_MIB} MiB"
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
        return
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (DISK_MIB << 20, hard))
    try:
        yield f"files limited to {DISK_MIB} MiB"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
