"""Strangers' texts, made safe to print: names of files, titles in streams, messages of libraries."""

__all__ = ["as_cell", "printable"]

FORMULA = ("=", "+", "-", "@")  # what a spreadsheet computes


def printable(text: str) -> str:
    """`text` on one line, with escape sequences, control characters and changes of direction spelled out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def as_cell(text: str) -> str:
    """`text` for a cell of a CSV file: printable, and behind an apostrophe where it would be a formula."""
    return f"'{printable(text)}" if text.startswith(FORMULA) else printable(text)
