"""What strangers name is shown as text: in lines, tables and cells of CSV."""

import io
from pathlib import Path

import pytest
from rich.table import Table

from rtpolyp.printable import as_cell, as_markdown, from_cell, printable
from rtpolyp.terminal.console import make_console, say_written

HOSTILE = "a\x1b[31m[bold]b[/bold]\x1b]0;title\x07\u202e:smile:\r"


def test_a_line_and_a_table_hold_no_sequence_and_no_markup():
    file = io.StringIO()
    console = make_console(file)
    table = Table(title=HOSTILE)
    table.add_column(HOSTILE)
    table.add_row(HOSTILE)
    console.print(table)
    console.print(HOSTILE, soft_wrap=True)
    shown = file.getvalue()
    assert not set("\x1b\x07\r\u202e") & set(shown)
    assert shown.count("[bold]") >= 2
    assert "\\x1b[31m[bold]b[/bold]" in shown.splitlines()[-1]
    assert ":smile:" in shown


def test_a_file_whose_name_has_a_newline_is_one_line():
    file = io.StringIO()
    say_written([Path("new\nline.mp4")], make_console(file))
    assert file.getvalue() == "wrote new\\nline.mp4\n"


@pytest.mark.parametrize("text", ["[/]", "[", "[link=file:///etc/passwd]x[/link]"])
def test_brackets_are_no_markup(text: str):
    file = io.StringIO()
    make_console(file).print(text)
    assert file.getvalue() == f"{text}\n"


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("frame 1", "frame 1"),
        ("a\nb", "a\\nb"),
        ("\t=1", "\\t=1"),
    ],
)
def test_a_cell_is_no_formula(text: str, cell: str):
    assert as_cell(text) == cell
    assert from_cell(cell) == printable(text)
    assert printable(cell) == cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("kvasir-seg", "kvasir-seg"),
        ("a|b", r"a\|b"),
        ("<img src=x>", r"\<img src=x\>"),
        ("[x](javascript:y)", r"\[x\](javascript:y)"),
        ("`rm`\n# title", r"\`rm\`\\n# title"),
        ("&lt;", r"\&lt;"),
    ],
)
def test_a_report_in_markdown_holds_no_markup(text: str, shown: str):
    assert as_markdown(text) == shown
