"""Files: written whole or not at all, digests, and the one error that a user gets to see."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spam_gpt2.common.csv_injection import guard, unguard

if TYPE_CHECKING:
    import pandas as pd

JSON_LIMIT = 1 << 26  # bytes; the largest that we write, 300 classes' metrics, have a few MB


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
    What a spreadsheet would run is guarded (`csv_injection.py`); `read_csv` takes the guard away.
    """
    quoting = csv.QUOTE_NONNUMERIC
    table = table.rename(columns=guard).map(
        lambda cell: guard(cell) if isinstance(cell, str) else cell
    )
    write_text(path, table.to_csv(index=False, lineterminator="\n", quoting=quoting))


def read_csv(path: Path, text_columns: Sequence[str]) -> pd.DataFrame:
    """Read back what `write_csv` wrote, all text of the columns as it was; others are numbers.

    Raises: InputError that names a file which is missing or no such table.
    """
    import pandas as pd  # half a second that the others here do without

    kinds = dict.fromkeys(map(guard, text_columns), str)
    table = _read(path, lambda: pd.read_csv(path, dtype=kinds, keep_default_na=False))
    table = table.rename(columns=unguard)
    return table.assign(**{c: table[c].map(unguard) for c in text_columns if c in table})


def read_json(path: Path) -> Any:
    """Read a JSON file; InputError names the file that is missing or damaged.

    What Python's parser takes beyond JSON is damage: NaN, infinities, a key that stands twice.
    """
    return _read(path, lambda: _parse_json(path))


def _parse_json(path: Path) -> Any:
    """As `read_json`. Raises: ValueError, OSError."""
    if path.stat().st_size > JSON_LIMIT:
        raise ValueError(f"more than {JSON_LIMIT:,} bytes")
    try:
        return json.loads(
            path.read_text(encoding="utf-8"),
            object_pairs_hook=_distinct,
            parse_constant=_refuse_constant,
        )
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {key!r} stands there twice")
        found[key] = value
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _read(path: Path, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; `dvc repro` makes it") from None
    except (ValueError, OSError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
