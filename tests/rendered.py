"""Markdown as an independent parser of it, markdown-it, understands it."""

from __future__ import annotations

from markdown_it import MarkdownIt

Table = dict[str, list[str]]  # by the text of the row's first cell: the others


def tables(text: str) -> list[Table]:
    """All tables, in order; the header is a row."""
    found: list[Table] = []
    row: list[str] = []
    in_table = False
    for token in MarkdownIt("commonmark").enable("table").parse(text):
        if token.type == "table_open":
            in_table = True
            found.append({})
        elif token.type == "table_close":
            in_table = False
        elif token.type == "tr_open":
            row = []
        elif token.type == "inline" and in_table:
            row.append("".join(child.content for child in token.children))
        elif token.type == "tr_close":
            found[-1][row[0]] = row[1:]
    return found
