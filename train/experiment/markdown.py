"""Tables in Markdown."""

from collections.abc import Iterable, Sequence

__all__ = ["joined", "table"]


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> str:
    """Headings, a rule and rows; the last `numbers` columns are set to the right."""
    rule = ["---"] * (len(headings) - numbers) + ["---:"] * numbers
    return "\n".join(joined(cells) for cells in (headings, rule, *rows))


def joined(cells: Iterable[str]) -> str:
    """One row."""
    return f"| {' | '.join(cells)} |"
