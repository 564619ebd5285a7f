"""CudaDevice through the real pycuda and cuda.bindings, on a driver that is a C file of ours.

It runs where pycuda is installed (scripts/install_pycuda.py) and no card is: CI builds it for this.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rtpolyp.inference.nvidia_card import find_card

SOURCE = Path(__file__).parents[2] / "fake_driver.c"
SECONDS = 60

PROGRAM = """
import contextlib, ctypes, logging, os, sys
sys.setdlopenflags(os.RTLD_LAZY)  # the driver lacks what is not called
import numpy as np
import pycuda.driver
from rtpolyp.errors import EngineError
from rtpolyp.inference.tensorrt.cuda import CudaDevice
from rtpolyp.inference.tensorrt.streams import StreamEngine
from rtpolyp.spec import EngineSpec

logging.basicConfig(format="%(message)s", stream=sys.stdout)
driver = ctypes.CDLL("libcuda.so.1")
SPEC = EngineSpec("fake", "none", "none", 32, 32, 0.5, 0.0, 0.0)
PIXELS = 32 * 32


def count(name):
    return ctypes.c_int.in_dll(driver, name).value


def handed_out():
    names = "device_memory", "host_memory", "streams", "events", "graphs", "executables", "contexts"
    return {name: count(name) for name in names}


class Network:
    description, least, replays = "copies", 1, False

    def execution(self, frames_of_run, frames, probability, stream):
        size = frames_of_run * PIXELS
        return lambda: pycuda.driver.memcpy_dtod_async(probability, frames, size, stream.own)

    def warmed_up(self):
        pass


@contextlib.contextmanager
def open_network():
    with CudaDevice() as device:
        yield device, Network()


def frames(number, seed):
    return np.random.default_rng(seed).integers(0, 256, (number, 32, 32, 3), np.uint8)


def check(engine):
    for seed, number in enumerate([1, 2, 2, 1, 2]):
        asked = frames(number, seed)
        prediction = engine.submit(asked).result(10)
        expected = asked.reshape(-1)[: number * PIXELS].reshape(number, 32, 32)
        assert np.array_equal(prediction.probability, expected)
        assert min(prediction.timing.h2d, prediction.timing.compute, prediction.timing.d2h) >= 0
"""

WITH_GRAPHS = """
with StreamEngine(SPEC, open_network, batch=2) as engine:
    assert engine.description == "copies, streams 3, CUDA graphs", engine.description
    before = count("replays")
    check(engine)
    assert count("replays") == before + 5
    out = handed_out()
    assert (out["streams"], out["events"], out["contexts"], out["graphs"]) == (3, 12, 1, 0), out
assert not any(handed_out().values()), handed_out()
"""

WITHOUT_GRAPHS = """
ctypes.c_int.in_dll(driver, "fails_to_capture").value = 1
with StreamEngine(SPEC, open_network, batch=2) as engine:
    assert engine.description == "copies, streams 3, no CUDA graphs", engine.description
    check(engine)
    assert not count("replays")
assert not any(handed_out().values()), handed_out()
"""

LOST = """
with StreamEngine(SPEC, open_network) as engine:
    engine.submit(frames(1, 0)).result(10)
    ctypes.c_int.in_dll(driver, "is_lost").value = 1
    for words in ("an illegal memory access was encountered", "takes no more work", "takes no more work"):
        error = engine.submit(frames(1, 0)).exception(10)
        assert isinstance(error, EngineError) and words in str(error), error
assert not handed_out()["contexts"], handed_out()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if find_card() is not None:
        pytest.skip("there is a real driver")
    for needed in ("pycuda", "cuda.bindings"):
        try:
            found = importlib.util.find_spec(needed)
        except ModuleNotFoundError:
            found = None
        if found is None:
            pytest.skip(f"{needed} is not installed")
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("driver")
    output = folder / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", output, SOURCE, "-ldl"], check=True, timeout=SECONDS)
    return folder


@pytest.mark.parametrize("part", [WITH_GRAPHS, WITHOUT_GRAPHS, LOST], ids=["graphs", "no graphs", "lost"])
def test_the_real_bindings_on_a_fake_driver(library: Path, part: str):
    environment = os.environ | {"LD_LIBRARY_PATH": str(library)}
    command = [sys.executable, "-W", "error", "-c", PROGRAM + part]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    if part is not LOST:
        assert done.stderr == ""  # pycuda complains there of what it could not free
    said = "fake: no CUDA graph (CUDA_ERROR_STREAM_CAPTURE_INVALIDATED); going on call by call\n"
    assert done.stdout == (said if part is WITHOUT_GRAPHS else "")
