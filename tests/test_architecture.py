"""The import rules that a linter's static view cannot see."""

import ast
import subprocess
import sys
from pathlib import Path

HEAVY = ("torch", "tensorrt", "tensorrt_rtx", "pycuda", "openvino", "onnxruntime")


def test_the_command_line_imports_no_heavy_library():
    code = f"import sys, rtpolyp.cli; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == []


def test_the_check_would_see_one():
    code = f"import sys, onnxruntime; print(*[m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "onnxruntime" in result.stdout.split()


def test_no_script_imports_the_command_line():
    """What a script needs of a command is library code."""
    root = Path(__file__).parents[1]
    files = [file for room in ("scripts", "examples", "train") for file in (root / room).rglob("*.py")]
    assert len(files) > 100
    assert [file for file in files if "rtpolyp.cli" in imported(file.read_text("utf-8"))] == []


def test_an_import_of_the_command_line_is_seen():
    for text in ("import rtpolyp.cli.run", "from rtpolyp.cli.run import run", "from rtpolyp import cli"):
        assert "rtpolyp.cli" in imported(text)


def imported(text: str) -> set[str]:
    """The rooms of rtpolyp that a module imports, at its top or within a function."""
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return {".".join(name.split(".")[:2]) for name in names}
