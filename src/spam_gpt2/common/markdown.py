"""Markdown as GitHub shows it in a comment."""

from __future__ import annotations

import re
from collections.abc import Iterable

LIMIT = 65_000  # characters; GitHub takes 65,536, and whoever posts the comment adds some


def table(header: list[str], rows: Iterable[list[str]]) -> str:
    """A table, its first column to the left and the others to the right."""
    rule = [":--", *["--:"] * (len(header) - 1)]
    cells = [[_cell(text) for text in row] for row in (header, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (cells[0], rule, *cells[1:]))


def code(value: object) -> str:
    """Text that is shown as it is, on one line."""
    return f"`{' '.join(str(value).replace('`', chr(39)).split())}`"


def plain(text: str) -> str:
    """Text from outside amid one's own: Markdown and HTML in it are shown, not followed.

    A bar is left to `table`, which marks it.
    """
    return re.sub(r"[\\`*_{}\[\]<>&#~$!]", r"\\\g<0>", " ".join(text.split()))


def details(summary: str, text: str) -> str:
    """Text that is folded away under a line of HTML."""
    return f"<details><summary>{summary}</summary>\n\n{text}\n\n</details>"


def warning(text: str) -> str:
    """A paragraph that stands out."""
    return f"> [!WARNING]\n> {text}"


def fit(sections: list[str], note: str, limit: int = LIMIT) -> str:
    """Sections in one text; those that would make it longer than `limit` give way to the note."""
    whole = "\n\n".join(sections)
    if len(whole) <= limit:
        return whole
    kept: list[str] = []
    for section in sections:
        if len("\n\n".join([*kept, section, note])) <= limit:
            kept.append(section)
    return "\n\n".join([*kept, note])


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
