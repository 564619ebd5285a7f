"""Strangers' texts, made safe to print: names of files, titles in streams, messages of libraries."""

import re

__all__ = ["as_cell", "as_markdown", "from_cell", "printable"]

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet computes
MARKUP = re.compile(r"[\\`*\[\]<>|&]")  # of Markdown and of the HTML in it


def printable(text: str) -> str:
    """`text` on one line, with escape sequences, control characters and changes of direction spelled out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def as_cell(text: str) -> str:
    """`text` for a cell of a CSV file: printable, and behind an apostrophe where it would be a formula."""
    return f"'{printable(text)}" if text.startswith(FORMULA) else printable(text)


def from_cell(cell: str) -> str:
    """The text that `as_cell` put behind an apostrophe; any other as it is."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA) else cell


def as_markdown(text: str) -> str:
    """`text` for a line or a table's cell of Markdown: printable, and without markup."""
    return MARKUP.sub(r"\\\g<0>", printable(text))
