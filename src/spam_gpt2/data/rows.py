"""The rows of a file whose texts are to be classified: every column as it is, and the text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from spam_gpt2.common.console import say
from spam_gpt2.common.csv_injection import unguard
from spam_gpt2.common.files import InputError
from spam_gpt2.data.columns import COLUMN_ADVICE, Layout, text_layout
from spam_gpt2.data.table import DELIMITERS, Form, RowError, Table, delimiter_advice, open_table


def text_rows(
    file: BinaryIO,
    path: Path,
    form: Form,
    column: str | None = None,
    advice: str = COLUMN_ADVICE,
) -> Iterator:
    """The header, then each row with its text: `(columns, text)`.

    Args:
        file, path, form: as `open_table` takes them.
        column: holds the text; None is the one with a usual name.
        advice: what to do where no column can be told to be it.

    Raises: InputError with the line it stumbles over.
    """
    table = open_table(file, path, form)
    try:
        header = table.names or next((row for _, row in table.rows), None)
        if header is None:
            raise InputError(f"{path}: empty; expected a line with the columns' names")
        as_it_was = unguard if table.delimiter else str  # only CSV is guarded
        header = list(map(as_it_was, header))
        layout = _layout(header, column, table, path, form, advice)
        yield header
        empty = None  # the first of the lines that hold nothing; at the end they do not matter
        for line, row in table.rows:
            if not row:
                empty = empty or line
                continue
            if empty or not layout.fits(len(row)):
                found = 0 if empty else len(row)
                raise RowError(empty or line, f"{found} fields where {len(header)} are expected")
            row = list(map(as_it_was, row))
            filled = row + [""] * (len(header) - len(row))
            yield filled, layout.text_of(row, table.delimiter or ",")
    except RowError as error:
        raise InputError(f"{path}: {error}") from None


def _layout(
    header: list[str], column: str | None, table: Table, path: Path, form: Form, advice: str
) -> Layout:
    """Which column holds the text, said when it is a guess."""
    try:
        layout = text_layout(header, column, advice)
    except ValueError as error:
        also = ""
        if table.delimiter and len(header) < 2:
            other = delimiter_advice("".join(header), table.delimiter, form)
            name = DELIMITERS.get(table.delimiter, "the delimiter")
            also = f"; {other or f'{name} must stand between columns'}"
        raise InputError(f"{path}: {error}{also}") from None
    if layout.news:
        say(f"{path}: {layout.news}")
    return layout
