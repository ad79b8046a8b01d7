"""Read labelled messages from a file, and say which lines cannot be read."""

from __future__ import annotations

import codecs
import re
import sys
from collections import Counter
from pathlib import Path

import pandas as pd

from spam_gpt2.common.console import say, warn
from spam_gpt2.common.files import InputError, read_csv, write_csv
from spam_gpt2.common.message_files import Columns
from spam_gpt2.data.columns import Layout, chosen_layout, listed, usual_layout, usual_width
from spam_gpt2.data.encodings import marked_encoding
from spam_gpt2.data.table import Form, RowError, Table, delimiter_advice, open_table

HEADER = ("label", "text")
SHOWN = 5  # lines that an error names
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def read_messages(
    path: Path,
    quoting: str | None = None,
    *,
    columns: Columns | None = None,
    encoding: str | None = None,
    delimiter: str | None = None,
    section: str = "prepare",
) -> pd.DataFrame:
    """Messages of a file of labels and texts, one a row; no row is dropped in silence.

    See `prepare` in params.yaml for what the choices mean. What is guessed is said.

    Args:
        section: of params.yaml, which holds these choices, for the advice in errors.

    Returns: columns line (of the file, from 1; of Parquet, the row), label, text.

    Raises InputError with the numbers of all lines that cannot be read, and why; when most of them
    have one cause, with that alone.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; set {section}.path to your messages"
            + ", or run `dvc repro`, which fetches the collection" * (section == "prepare")
        )
    form = Form(
        encoding, delimiter, quoting, option=lambda name, value: f"set {section}.{name}: {value}"
    )
    with path.open("rb") as file:
        table = open_table(file, path, form)
        reading = _Reading(path, form, table, columns, section)
        messages = reading.run()
    if encoding and not codecs.lookup(encoding).name.startswith("utf") and _is_utf8(path):
        warn(
            f"{path}: this is UTF-8, whose characters beyond ASCII {encoding} takes for others; "
            f"set {section}.encoding: null"
        )
    return messages


class _Reading:
    """One pass over a file's rows: messages, problems, and how many fields each row has."""

    def __init__(
        self, path: Path, form: Form, table: Table, columns: Columns | None, section: str
    ) -> None:
        self.path, self.form, self.table, self.columns = path, form, table, columns
        self.section = section
        self.layout: Layout | None = None
        self.first: list[str] = []
        self.lines: list[int] = []
        self.labels: list[str] = []
        self.texts: list[str] = []
        self.problems: list[str] = []  # the first of them
        self.problem_count = 0
        self.widths: Counter[int] = Counter()
        self.joined: list[int] = []  # lines of texts that ran on into columns without names
        self.has_quotes = False  # in a row that cannot be read
        self.stripped = 0

    def run(self) -> pd.DataFrame:
        empty: list[int] = []  # lines, of which those at the end hold nothing
        try:
            if self.table.names is not None:
                self._begin(self.table.names, has_names=True)
            for line, row in self.table.rows:
                if not row:
                    empty.append(line)
                    continue
                for number in empty:
                    self._problem(number, "empty", [])
                empty = []
                if not self.first and self._begin(row, has_names=False):
                    continue
                self._take(line, row)
        except RowError as error:
            self._problem(error.line, error.reason, [])
        self._check()
        self._say()
        frame = {"line": self.lines, "label": self.labels, "text": self.texts}
        return pd.DataFrame(frame)

    def _begin(self, first: list[str], has_names: bool) -> bool:
        """Find the columns in the first row; returns whether that is a header."""
        self.first = first
        try:
            if self.columns:
                chosen = self.columns.label, self.columns.text
                self.layout = chosen_layout(first, has_names, *chosen)
            else:
                self.layout = usual_layout(first, has_names)
        except ValueError as error:
            advice = self._delimiter_advice()
            hint = f"; {advice}" if advice else f"; see {self.section}.columns"
            raise InputError(f"{self.path}: {error}{hint}") from None
        if self.layout is None and has_names:
            raise self._unknown_columns(len(first))
        return self.layout is not None and self.layout.is_header

    def _take(self, line: int, row: list[str]) -> None:
        self.widths[len(row)] += 1
        layout = self.layout
        if layout is None or not layout.fits(len(row)):
            expected = layout.widths[1] if layout else 2
            self._problem(line, f"{len(row)} fields where {expected} are expected", row)
            return
        label = row[layout.label].strip()
        text = layout.text_of(row, self.table.delimiter or ",")
        if problem := _wrong_message(label, text):
            self._problem(line, problem, row)
            return
        if layout.runs_on(row):
            self.joined.append(line)
        self.stripped += label != row[layout.label]
        self.lines.append(line)
        self.labels.append(sys.intern(label))  # a few distinct ones, however many messages
        self.texts.append(text)

    def _problem(self, line: int, reason: str, row: list[str]) -> None:
        self.problem_count += 1
        self.has_quotes |= any(field.startswith('"') for field in row)
        if len(self.problems) < SHOWN:
            self.problems.append(f"line {line}: {reason}")

    def _check(self) -> None:
        if self.problem_count:
            width = usual_width(self.widths) if self.widths else None
            fits = width is not None and self.layout is not None and self.layout.fits(width)
            if width and not fits and (width > 1 or len(self.first) == 1):
                raise self._unknown_columns(width)
            more = self.problem_count - len(self.problems)
            shown = "; ".join([*self.problems, *([f"and {more} more"] if more else [])])
            advice = self._quoting_advice() or self._tab_advice()
            remedy = f"Mend these lines{f' ({advice})' if advice else ''}"
            raise InputError(f"{self.path}: {shown}. {remedy}")
        if not self.lines:
            raise InputError(f"{self.path}: no messages in it; expected a label and a text a line")
        if self.table.delimiter and all(";" in label for label in set(self.labels)):
            advice = delimiter_advice(";", "\0", self.form)
            raise InputError(f"{self.path}: every label holds a semicolon; if {advice}")

    def _unknown_columns(self, width: int) -> InputError:
        """The one cause of it all: other columns than a label and a text."""
        advice = self._delimiter_advice() if 1 in (width, len(self.first)) else None
        advice = advice or self._quoting_advice()
        if advice is None and width == 1:
            advice = f"expected a label and a text a line; see {self.section}.delimiter"
        columns = f"{self.section}.columns: {{label: …, text: …}}"
        advice = advice or f"name two of them in {columns}"
        count = f"{width} column{'s' * (width > 1)}"
        at = "" if len(self.first) == width else f" in most lines, {len(self.first)} in the first"
        return InputError(f"{self.path}: {count}{at}: {listed(self.first)}; {advice}")

    def _delimiter_advice(self) -> str | None:
        delimiter = self.table.delimiter
        if delimiter is None or not self.first:
            return None
        return delimiter_advice(delimiter.join(self.first), delimiter, self.form)

    def _quoting_advice(self) -> str | None:
        if self.has_quotes and self.table.quoting == "none":
            return f"quotes seem to enclose fields: {self.form.option('quoting', 'default')}"
        return None

    def _tab_advice(self) -> str | None:
        """Where a text holds the delimiter, fields that tabs separate look like two others."""
        has_tab = bool(self.first) and "\t" in self.first[0] and self.table.delimiter != "\t"
        return delimiter_advice(self.first[0], "\0", self.form) if has_tab else None

    def _say(self) -> None:
        if self.layout and self.layout.news:
            say(f"{self.path}: {self.layout.news}")
        if self.joined:
            numbers = ", ".join(map(str, self.joined[:SHOWN]))
            more = ", …" if len(self.joined) > SHOWN else ""
            say(
                f"{self.path}: {len(self.joined)} texts that ran on into columns without a name "
                f"are put together again (line {numbers}{more})"
            )
        if self.stripped:
            say(f"{self.path}: blanks around the label are left out in {self.stripped} lines")
        if self.table.quoting == "none":
            _warn_of_quotes(self.path, self.texts, self.form)


def _wrong_message(label: str, text: str) -> str | None:
    if not label:
        return "no label"
    if not text.strip():
        return "no text"
    if "\0" in text:
        return "a NUL character"
    if CONTROL.search(label):
        return f"a control character in the label {label!r}"
    return None


def _warn_of_quotes(path: Path, texts: list[str], form: Form) -> None:
    """Under `none`, texts as a program writes them that quotes only where it must."""
    enclosed = [text[1:-1] for text in texts if len(text) > 1 and text[0] == text[-1] == '"']
    quoted = sum('""' in t and '"' not in t.replace('""', "") for t in enclosed)
    if quoted > 1 or 2 * len(enclosed) > len(texts):
        warn(
            f"{path}: {max(quoted, len(enclosed))} texts look quoted, and their quote marks are "
            f"read as characters; if a program wrote them, {form.option('quoting', 'default')}"
        )


def _is_utf8(path: Path) -> bool:
    """Whether a file without a mark is UTF-8 and not plain ASCII, which is the same in most."""
    content = path.read_bytes()
    if marked_encoding(content[:4]) or content.isascii():
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def read_split(path: Path) -> pd.DataFrame:
    """Read back a split that `write_split` wrote: columns line, label, text, all text as it is."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; `dvc repro prepare` makes it")
    return read_csv(path, HEADER)


def write_split(path: Path, messages: pd.DataFrame) -> None:
    """Write a split as CSV with the columns line, label, text and LF line ends."""
    write_csv(path, messages[["line", *HEADER]])
