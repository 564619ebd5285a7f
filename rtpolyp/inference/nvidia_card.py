"""Which NVIDIA card this process sees, asked of the driver itself: no toolkit, no context, no package."""

import ctypes
import sys
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Card", "find_card"]

DRIVER = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
KERNEL_MODULE = Path("/proc/driver/nvidia/version")
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76  # CUdevice_attribute


@dataclass(frozen=True)
class Card:
    """The first visible device; CUDA_VISIBLE_DEVICES counts."""

    name: str  # as NVIDIA calls it, e.g. "NVIDIA H100 80GB HBM3"
    capability: str  # compute capability, e.g. "sm90"
    cuda: str  # newest CUDA that the driver speaks, e.g. "13.0"
    driver: str | None  # e.g. "580.65.06"; None where the system does not tell

    def __str__(self) -> str:
        return f"{self.name} ({self.capability})"


def find_card() -> Card | None:
    """Describe the first visible card; None without a driver or a device."""
    try:
        cuda = ctypes.CDLL(DRIVER)
    except OSError:
        return None
    count, device, version = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    name = ctypes.create_string_buffer(256)
    parts = (ctypes.c_int(), ctypes.c_int())
    failed = cuda.cuDeviceGet(ctypes.byref(device), 0) or cuda.cuDeviceGetName(name, len(name), device)
    for part, attribute in zip(parts, (CAPABILITY_MAJOR, CAPABILITY_MINOR), strict=True):
        failed = failed or cuda.cuDeviceGetAttribute(ctypes.byref(part), attribute, device)
    if failed or cuda.cuDriverGetVersion(ctypes.byref(version)):
        return None
    major, minor = (part.value for part in parts)
    speaks = f"{version.value // 1000}.{version.value % 1000 // 10}"
    return Card(name.value.decode(), f"sm{major}{minor}", speaks, _driver_version())


def _driver_version() -> str | None:
    """From the kernel module's own words: "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  …"."""
    words = KERNEL_MODULE.read_text(encoding="utf-8").split() if KERNEL_MODULE.is_file() else []
    return next((word for word in words if word[:1].isdigit() and "." in word), None)
