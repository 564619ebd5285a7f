"""`import rtpolyp`: what it offers and what it costs."""

import inspect
import re
import subprocess
import sys

import rtpolyp
from rtpolyp import errors

HEAVY = ("torch", "openvino", "onnxruntime", "tensorrt", "tensorrt_rtx", "cv2", "av", "numpy", "supervision")
IMPORT_SECONDS = 0.2


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=True)


def test_every_public_name_is_there_and_documented():
    for name in rtpolyp.__all__:
        value = getattr(rtpolyp, name)
        assert isinstance(value, str) or inspect.getdoc(value)
    assert dir(rtpolyp) == sorted(rtpolyp.__all__)


def test_every_error_is_public():
    assert set(errors.__all__) <= set(rtpolyp.__all__)


def test_the_version_is_the_installed_ones():
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", rtpolyp.__version__)


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(rtpolyp, "no_such_name")


def test_importing_it_loads_no_library():
    said = python("-c", f"import sys, rtpolyp; print(*[m for m in {HEAVY} if m in sys.modules])")
    assert said.stdout.split() == []


def test_the_model_loads_neither_torch_nor_a_backend_before_it_opens_one():
    backends = HEAVY[:5]
    loaded = f"print(*[m for m in {backends} if m in sys.modules])"
    code = f"import sys, rtpolyp; rtpolyp.Model, rtpolyp.load; {loaded}"
    assert python("-c", code).stdout.split() == []


def test_the_command_of_a_file_run_loads_nothing_of_live_runs_and_other_commands():
    rooms = (
        "live.session",
        "live.ladder",
        "video.live.live_stream",
        "video.raw",
        "web",
        "report",
        "labels",
        "tryout",
    )
    loaded = f"print(*[m for m in {rooms} if f'rtpolyp.{{m}}' in sys.modules], 'numpy.random' in sys.modules)"
    assert python("-c", f"import sys, rtpolyp.cli.run; {loaded}").stdout.split() == ["False"]


def test_importing_it_takes_under_a_fifth_of_a_second():
    said = python("-X", "importtime", "-c", "import rtpolyp").stderr
    (microseconds,) = re.findall(r"\|\s*(\d+) \| rtpolyp$", said, re.MULTILINE)
    assert int(microseconds) < 1e6 * IMPORT_SECONDS
