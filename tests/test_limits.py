"""A file, a function and a list of parameters stay short enough to be read at once."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("rtpolyp", "train", "scripts", "examples", "tests")
FILE_LINES, FUNCTION_LINES, PARAMETERS = 300, 60, 7
EXCEPTIONS = {  # public functions of keywords with a default each, as the library's guide has them
    "rtpolyp/inference/selection.py: open_engine has 8 parameters",
    "rtpolyp/run.py: run_file has 8 parameters",
}


def excesses(name: str, text: str) -> Iterator[str]:
    """What in a module is past the limits."""
    if (lines := text.count("\n")) > FILE_LINES:
        yield f"{name} has {lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if (lines := node.end_lineno - node.lineno + 1) > FUNCTION_LINES:
                yield f"{name}: {node.name} has {lines} lines"
            if not is_command(node) and (count := parameters(node)) > PARAMETERS:
                yield f"{name}: {node.name} has {count} parameters"


def is_command(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether cyclopts makes a command of it, and a flag of each parameter."""
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    return any(decorator.startswith(("app.default", "app.command")) for decorator in decorators)


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    listed = function.args
    named = [*listed.posonlyargs, *listed.args, *listed.kwonlyargs]
    return len([*named, *filter(None, (listed.vararg, listed.kwarg))]) - (
        bool(named) and named[0].arg in ("self", "cls")
    )


@pytest.mark.parametrize("room", ROOMS)
def test_nothing_is_past_the_limits(room: str):
    files = sorted((ROOT / room).rglob("*.py"))
    assert files
    found = [
        line
        for file in files
        for line in excesses(file.relative_to(ROOT).as_posix(), file.read_text("utf-8"))
    ]
    assert [line for line in found if line not in EXCEPTIONS] == []


def test_every_exception_is_needed():
    for exception in EXCEPTIONS:
        name = exception.partition(":")[0]
        assert exception in excesses(name, (ROOT / name).read_text("utf-8"))


def test_the_check_sees_what_is_too_long():
    arguments = ", ".join("abcdefgh")
    text = f"def long({arguments}):\n" + "    pass\n" * 60 + "\n" * 240
    assert list(excesses("a.py", text)) == [
        "a.py has 301 lines",
        "a.py: long has 61 lines",
        "a.py: long has 8 parameters",
    ]
    assert list(excesses("a.py", f"class A:\n    def fits(self, {arguments[:-3]}): ...\n")) == []
    assert list(excesses("a.py", f"@app.default\ndef flags({arguments}): ...\n")) == []
