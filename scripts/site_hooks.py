"""What mkdocs.yml asks for while it builds the site: the changelog's page, and upright bars in tables."""

from pathlib import Path
from typing import Any

__all__ = ["on_page_content", "on_page_markdown"]

CHANGELOG = Path(__file__).resolve().parents[1] / "CHANGELOG.md"


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Give the changelog's page the text of CHANGELOG.md, with its links into docs/ shortened."""
    if page.file.src_uri != "changelog.md":
        return markdown
    return CHANGELOG.read_text(encoding="utf-8").replace("](docs/", "](")


def on_page_content(html: str, **_: Any) -> str:
    """Take away the backslash before a bar in a table's code, which GitHub needs and this Markdown shows."""
    return html.replace("\\|", "|")
