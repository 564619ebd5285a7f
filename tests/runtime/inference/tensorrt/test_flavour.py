"""Which TensorRT is installed, and what it complains about."""

import sys
from pathlib import Path

import pytest

from rtpolyp.errors import BackendError
from rtpolyp.inference.tensorrt.flavour import FLAVOURS, Library, installed_flavours, load_flavour


@pytest.fixture
def fresh_imports():
    """load_flavour remembers; these tests change what there is to find."""
    load_flavour.cache_clear()
    yield
    load_flavour.cache_clear()


def test_what_is_installed_is_known_without_importing_it(tensorrt_rtx: Library):
    assert installed_flavours()["tensorrt-rtx"] == tensorrt_rtx.version


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_absent_flavour_fails_with_the_pip_command(
    flavour, fresh_imports, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, flavour.replace("-", "_"), None)  # as if it were not there
    with pytest.raises(
        BackendError, match=rf'^{flavour} is not usable .*; pip install "rtpolyp\[{flavour}\]"'
    ):
        load_flavour(flavour)


def test_a_folder_of_that_name_is_no_library(fresh_imports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "tensorrt").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    with pytest.raises(BackendError, match=r"tensorrt is not usable .*no attribute 'Builder'"):
        load_flavour("tensorrt")
    monkeypatch.delitem(sys.modules, "tensorrt")
    assert "tensorrt" not in installed_flavours()


def test_complaints_are_heard_within_the_block_alone(tensorrt_rtx: Library):
    severity = tensorrt_rtx.trt.ILogger.Severity
    with tensorrt_rtx.complaints() as outer:
        tensorrt_rtx.logger.log(severity.ERROR, "first\n  line")
        with tensorrt_rtx.complaints() as inner:
            tensorrt_rtx.logger.log(severity.INTERNAL_ERROR, "second")
        tensorrt_rtx.logger.log(severity.WARNING, "not an error")
    tensorrt_rtx.logger.log(severity.ERROR, "nobody listens")
    assert outer == ["first line", "second"]
    assert inner == ["second"]
