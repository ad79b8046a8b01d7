"""Files: written whole or not at all, digests, and the one error that a user gets to see."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd


FORMULA = re.compile(r"'*[=+\-@\t\r]")


class InputError(Exception):
    """Something outside the program is wrong: one line that says what, where and what to do."""


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A path beside `path` to write to; renamed into place at the end, removed on an error.

    An OSError that names no file, as none does that comes of a write, gets the name of this one.
    So does one that names the file beside it, of which nobody knows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside_path = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield beside_path
        beside_path.replace(path)
    except BaseException as error:
        with suppress(OSError):  # the first error is the one that says what is wrong
            beside_path.unlink()
        is_ours = isinstance(error, OSError) and error.filename in (None, str(beside_path))
        if is_ours and error.errno:
            error.filename = str(path)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text with LF line ends, whole or not at all."""
    with whole_file(path) as beside_path:
        beside_path.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people and for DVC: indented, in the order given, no NaN."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, table: pd.DataFrame) -> None:
    """Write a table as CSV with LF line ends, whole or not at all.

    All text is quoted: before Python 3.11.9 a carriage return alone would not be, and end the row.
    """
    quoting = csv.QUOTE_NONNUMERIC
    write_text(path, table.to_csv(index=False, lineterminator="\n", quoting=quoting))


def no_formula(text: str) -> str:
    """Text that a spreadsheet shows and does not run: `'` before what would be a formula.

    Spreadsheets take a field that begins with one of `= + - @`, a tab or a carriage return for a
    formula (OWASP, CSV injection). Text that looks marked already is marked once more, so that
    `with_formula` gives every text back.
    """
    return f"'{text}" if FORMULA.match(text) else text


def with_formula(text: str) -> str:
    """The text that `no_formula` was given."""
    return text[1:] if text.startswith("'") and FORMULA.match(text) else text


def read_json(path: Path) -> Any:
    """Read a JSON file; InputError names the file that is missing or damaged."""
    return _read(path, lambda: json.loads(path.read_text(encoding="utf-8")))


def _read(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `dvc repro` makes it") from None
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
