"""The card as its driver tells; the driver here is a stand-in with CUDA's calling convention."""

import ctypes
from pathlib import Path

import pytest

from rtpolyp.inference import nvidia_card as card_module
from rtpolyp.inference.nvidia_card import Card, find_card

KERNEL_MODULE = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (builder)\n"
)


class Driver:
    """libcuda: each call returns 0, or `code` from the call named `failing` on."""

    def __init__(self, failing: str = "", devices: int = 1) -> None:
        self.failing, self.devices = failing, devices

    def __getattr__(self, call: str):
        def run(*arguments) -> int:
            if call == self.failing:
                return 100
            if call == "cuDeviceGetCount":
                arguments[0]._obj.value = self.devices
            elif call == "cuDeviceGetName":
                arguments[0].value = b"NVIDIA GeForce RTX 5090"
            elif call == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 12, 76: 0}[arguments[1]]
            elif call == "cuDriverGetVersion":
                arguments[0]._obj.value = 13010
            return 0

        return run


@pytest.fixture
def with_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "version").write_text(KERNEL_MODULE)
    monkeypatch.setattr(card_module, "KERNEL_MODULE", tmp_path / "version")
    return lambda driver: monkeypatch.setattr(ctypes, "CDLL", lambda name: driver)


def test_name_capability_and_versions(with_driver):
    with_driver(Driver())
    card = find_card()
    assert card == Card("NVIDIA GeForce RTX 5090", "sm120", "13.1", "580.65.06")
    assert str(card) == "NVIDIA GeForce RTX 5090 (sm120)"


def test_without_a_kernel_module_the_version_is_unknown(with_driver, tmp_path: Path):
    (tmp_path / "version").unlink()
    with_driver(Driver())
    card = find_card()
    assert card is not None
    assert card.driver is None


@pytest.mark.parametrize(
    "call", ["cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute"]
)
def test_a_driver_that_fails_shows_no_card(with_driver, call: str):
    with_driver(Driver(failing=call))
    assert find_card() is None


def test_no_device_is_no_card(with_driver):
    with_driver(Driver(devices=0))
    assert find_card() is None


def test_no_driver_is_no_card(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(card_module, "DRIVER", "libcuda-that-nobody-has.so")
    assert find_card() is None
