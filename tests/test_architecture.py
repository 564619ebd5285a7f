"""The import rules that a linter's static view cannot see."""

import subprocess
import sys

HEAVY = ("torch", "tensorrt", "tensorrt_rtx", "pycuda", "openvino", "onnxruntime")


def test_the_command_line_imports_no_heavy_library():
    code = f"import sys, rtpolyp.cli; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_check_would_see_one():
    code = f"import sys, onnxruntime; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "onnxruntime" in result.stdout.split()
