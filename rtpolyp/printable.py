"""Strangers' texts, made safe to print: names of files, titles in streams, messages of libraries."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """`text` on one line, with escape sequences, control characters and changes of direction spelled out."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)
