"""Rows of a file in any form that is read: CSV, TSV and their like, JSON Lines, Parquet.

`prepare` and the command line read files by this. Rows are given as they are read and none is kept,
so that memory does not grow with the file (but a Parquet file's own groups of rows).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from spam_gpt2.common.files import InputError
from spam_gpt2.data.encodings import DecodingError, likely_encoding, marked_encoding, text_lines
from spam_gpt2.data.formats import HEAD, format_of

FIELD_LIMIT = 1 << 24  # characters of one field: what is longer is an open quote, not a message
DELIMITERS = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}
TABULAR = (".tsv", ".tab")

Row = tuple[int, list[str]]  # the number of the row's first line, from 1, and its fields


class RowError(ValueError):
    """A row that cannot be read: the line it begins at, from 1, and why."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line, self.reason = line, reason


@dataclass(frozen=True)
class Form:
    """How a file is to be read; None leaves a choice to its name and first bytes.

    Attributes:
        encoding: a name that Python knows; None is UTF-8, or what a byte-order mark names.
        delimiter: one character; None is `other_delimiter`, a comma in .csv and a tab in .tsv.
        quoting: `default`, quotes enclose fields; `none`, a quote mark is a character; None is
            `none` between tabs and `default` otherwise.
        other_delimiter: in a file with another ending.
        option: how a choice is named in a message, from its name and the value to give it.
    """

    encoding: str | None = None
    delimiter: str | None = None
    quoting: str | None = None
    other_delimiter: str = "\t"
    option: Callable[[str, str], str] = lambda name, value: f"set prepare.{name}: {value}"


@dataclass(frozen=True)
class Table:
    """An open file's rows, and what is known of its form.

    Attributes:
        names: of the columns, where the format has them; None where the first row may hold them.
        delimiter, quoting: as they were chosen; None where the format has none.
    """

    rows: Iterator[Row]
    names: list[str] | None = None
    delimiter: str | None = None
    quoting: str | None = None


def open_table(file: BinaryIO, path: Path, form: Form) -> Table:
    """The rows of an open file, in the form that it has.

    Args:
        file: with the method `peek`, at its beginning; a pipe will do, unless it holds Parquet.
        path: names the file in errors, and by its ending says what separates fields.

    Raises: InputError for another kind of file, here, and for the wrong encoding, from the rows,
        which also raise RowError.
    """
    head = file.peek(HEAD)[:HEAD]
    kind = format_of(path, head)
    if kind == "parquet":
        return _parquet(file, path)
    delimiter = form.delimiter or _usual_delimiter(path, form)
    lines = _decoded(file, path, head, form, delimiter)
    if kind == "json":
        rows = _json_rows(lines)
        _, names = next(rows, (0, []))
        return Table(rows, names)
    quoting = form.quoting or ("none" if delimiter == "\t" else "default")
    return Table(_delimited_rows(lines, delimiter, quoting), None, delimiter, quoting)


def other_delimiter(line: str, delimiter: str) -> str | None:
    """What separates fields in a line that does not have the delimiter, if that can be seen."""
    if delimiter in line:
        return None
    counts = {other: line.count(other) for other in DELIMITERS}
    best = max(counts, key=lambda other: counts[other])
    return best if counts[best] else None


def delimiter_advice(line: str, delimiter: str, form: Form) -> str | None:
    """What to do about a line that another character separates, or None where none does."""
    other = other_delimiter(line, delimiter)
    if other is None:
        return None
    value = "tab" if other == "\t" else f"'{other}'"
    return f"{DELIMITERS[other]} separates its fields: {form.option('delimiter', value)}"


def _usual_delimiter(path: Path, form: Form) -> str:
    suffix = path.suffix.lower()
    return "," if suffix == ".csv" else "\t" if suffix in TABULAR else form.other_delimiter


def _decoded(file: BinaryIO, path: Path, head: bytes, form: Form, delimiter: str) -> Iterator[str]:
    """Lines of text; InputError with all that must be chosen differently."""
    mark = marked_encoding(head)
    if mark and form.encoding and not form.encoding.lower().startswith("utf"):
        raise InputError(
            f"{path}: begins with the mark of {mark.removesuffix('-sig').upper()}, so it is not "
            f"{form.encoding}; {form.option('encoding', 'null')}"
        )
    encoding = mark or form.encoding or "utf-8"
    if not (mark or form.encoding) and head.count(0) > len(head) // 4:
        likely = likely_encoding(head)
        raise InputError(
            f"{path}: full of NUL bytes: no text, or {likely} without a mark: "
            f"{form.option('encoding', str(likely))}"
        )
    try:
        yield from text_lines(file, encoding)
    except DecodingError as error:
        content = path.read_bytes() if path.is_file() else error.bytes
        likely = likely_encoding(content)
        advice = ", nor any other text that is known"
        if likely:
            advice = f"; it looks like {likely}: {form.option('encoding', likely)}"
        first = content[:HEAD].decode(likely or "latin-1", "replace").partition("\n")[0]
        if more := delimiter_advice(first, delimiter, form):
            advice += f"; and {more}"
        name = "UTF-8" if encoding.startswith("utf-8") else encoding
        raise InputError(f"{path}: line {error.line}: not {name}{advice}") from None


def _delimited_rows(lines: Iterator[str], delimiter: str, quoting: str) -> Iterator[Row]:
    csv.field_size_limit(FIELD_LIMIT)
    style = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    is_over = False

    def watched() -> Iterator[str]:
        nonlocal is_over
        yield from lines
        is_over = True

    reader = csv.reader(watched(), delimiter=delimiter, quoting=style)
    line = 1
    try:
        for row in reader:
            if is_over:  # the last row ends with its line, unless a quote asks for more
                raise RowError(line, "a quote is opened and never closed")
            yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise RowError(line, str(error)) from None


def _json_rows(lines: Iterable[str]) -> Iterator[Row]:
    """The names of the first object, then the fields of every object by these names."""
    names: list[str] | None = None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.removeprefix("\ufeff"))
        except json.JSONDecodeError as error:
            reason = f"{error.msg} (character {error.pos + 1})"
            raise RowError(number, f"not a JSON object and no more: {reason}") from None
        except (ValueError, RecursionError) as error:  # a number or a depth beyond Python's limits
            raise RowError(number, f"not a JSON object: {error}") from None
        if not isinstance(record, dict):
            raise RowError(number, "not a JSON object")
        if names is None:
            names = list(record)
            yield 0, names
        yield number, [_as_text(record.get(name), number) for name in names]


def _parquet(file: BinaryIO, path: Path) -> Table:
    import pyarrow  # a quarter of a second that other formats do not need
    from pyarrow import parquet

    try:
        source = parquet.ParquetFile(file)
        names = list(source.schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a whole Parquet file: {reason}") from None

    def rows() -> Iterator[Row]:
        number = 0
        try:
            for batch in source.iter_batches(batch_size=4096):
                for record in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, [_as_text(value, number) for value in record]
        except (pyarrow.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(f"{path}: damaged behind row {number}: {reason}") from None

    return Table(rows(), names)


def _as_text(value: Any, number: int) -> str:
    """A value of JSON or Parquet as CSV would hold it; None is empty."""
    if value is None:
        return ""
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise RowError(number, "bytes that are not UTF-8 text") from None
    if isinstance(value, bool | dict | list):
        value = json.dumps(value, ensure_ascii=False, default=str)
    text = str(value)
    if re.search("[\ud800-\udfff]", text):
        raise RowError(number, "half a character (a lone surrogate)")
    return text
