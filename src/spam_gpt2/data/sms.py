"""Read labelled messages from a file, and say which lines cannot be read."""

from __future__ import annotations

import csv
import io
from itertools import chain
from pathlib import Path

import pandas as pd

from spam_gpt2.common.files import InputError, read_csv, write_csv

HEADER = ("label", "text")
END = "\0end\0"  # read behind the last line: a quote that is still open takes it in


def read_messages(path: Path, quoting: str = "none") -> pd.DataFrame:
    """Messages of a CSV or TSV file of label and text, one a row; no row is dropped in silence.

    Args:
        path: split at commas when it ends in .csv, at tabs otherwise. A first row that holds the
            names `label` and `text` is a header and says which columns they are.
        quoting: `none` takes a quote mark for a character; `default` takes quotes to enclose
            fields, as pandas does (the SMS Spam Collection then loses two messages).

    Returns: columns line (of the file, from 1), label, text.

    Raises InputError with the numbers of all lines that cannot be read, and why.
    """
    content = _read_utf8(path)
    delimiter = "," if path.suffix.lower() == ".csv" else "\t"
    style = csv.QUOTE_NONE if quoting == "none" else csv.QUOTE_MINIMAL
    lines = chain(io.StringIO(content, newline=""), [END])
    reader = csv.reader(lines, delimiter=delimiter, quoting=style)
    rows, problems, columns = [], [], None
    line = 1  # of the row's first line; quoted fields may span several
    try:
        for row in reader:
            if row == [END]:
                break
            if columns is None:
                names = [name.strip().lower() for name in row]
                is_header = set(HEADER) <= set(names)
                columns = [names.index(name) if is_header else i for i, name in enumerate(HEADER)]
                width = len(row) if is_header else 2
                if is_header:
                    line = reader.line_num + 1
                    continue
            problem = _problem(row, columns, width)
            if problem:
                problems.append(f"line {line}: {problem}")
            else:
                rows.append((line, row[columns[0]].strip(), row[columns[1]]))
            line = reader.line_num + 1
    except csv.Error as error:
        problems.append(f"line {line}: {error}")
    if problems:
        shown = "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" * (len(problems) > 5))
        raise InputError(f"{path}: {shown}. Mend these lines (or see prepare.quoting)")
    if not rows:
        raise InputError(f"{path}: no messages in it; expected a label and a text a line")
    return pd.DataFrame(rows, columns=["line", *HEADER])


def check_labels(messages: pd.DataFrame, labels: list[str] | None, path: Path) -> list[str]:
    """The classes in order: those given, or those of the data, sorted.

    Raises InputError for a label of the data that is not listed, a listed one without messages, or
    what looks like a header of other names.
    """
    found = sorted(messages["label"].unique())
    if len(found) < 2:
        raise InputError(f"{path}: all messages are labelled {found[0]!r}; two classes are needed")
    if labels is None:
        line, label = messages[["line", "label"]].iloc[0]
        if line == 1 and label not in messages["label"].iloc[1:].to_numpy():
            raise InputError(
                f"{path}: line 1: no other message is labelled {label!r}; if that is a header, "
                "name its columns label and text"
                + "; if quotes enclose the fields, set prepare.quoting: default"
                * ('"' in label)
            )
        return found
    for label in found:
        if label not in labels:
            line = messages.loc[messages["label"] == label, "line"].iloc[0]
            raise InputError(f"{path}: line {line}: label {label!r} is not in prepare.labels")
    for label in labels:
        if label not in found:
            raise InputError(f"prepare.labels: {path} has no message labelled {label!r}")
    return labels


def read_split(path: Path) -> pd.DataFrame:
    """Read back a split that `write_split` wrote: columns line, label, text, all text as it is."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; `dvc repro prepare` makes it")
    return read_csv(path, HEADER)


def write_split(path: Path, messages: pd.DataFrame) -> None:
    """Write a split as CSV with the columns line, label, text and LF line ends."""
    write_csv(path, messages[["line", *HEADER]])


def _read_utf8(path: Path) -> str:
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; set prepare.path to your messages, or run `dvc repro`, which "
            "fetches the collection"
        )
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}: line {line}: not UTF-8; save the file as UTF-8") from None


def _problem(row: list[str], columns: list[int], width: int) -> str | None:
    if row and row[-1].endswith(END):
        return "a quote is opened and never closed"
    if len(row) != width:
        return f"{len(row)} fields where {width} are expected" if row else "empty"
    label, text = (row[column] for column in columns)
    if not label.strip():
        return "no label"
    if not text.strip():
        return "no text"
    if "\0" in text:
        return "a NUL character"
    return None
