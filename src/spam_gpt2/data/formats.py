"""What a file is by its first bytes: a table that can be read, or something to convert first."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

from spam_gpt2.common.files import InputError

HEAD = 4096  # bytes that tell

OFFICE = "soffice --headless --convert-to csv {path}"
PANDAS = (
    "python -c 'import pandas, sys; pandas.read_{kind}(sys.argv[1]).to_parquet(sys.argv[2])' "
    "{path} {stem}.parquet"
)
JSON_LINES = (
    "python -c 'import json, sys; print(*map(json.dumps, json.load(sys.stdin)), "
    'sep="\\n")\' < {path} > {stem}.jsonl'
)
ARFF = (
    "python -c 'import csv, sys; rows = csv.reader(sys.stdin, quotechar=chr(39), "
    'escapechar=chr(92)); any(row and row[0].lower() == "@data" for row in rows); '
    "csv.writer(sys.stdout).writerows(rows)' < {path} > {stem}.csv"
)
# Signatures as the formats' specifications give them, what they are, and what to do.
SIGNATURES: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "a gzip archive", "gunzip --keep {path}"),
    (b"BZh", "a bzip2 archive", "bunzip2 --keep {path}"),
    (b"\xfd7zXZ\0", "an xz archive", "unxz --keep {path}"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", "unzstd {path}"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x {path}"),
    (b"Rar!", "a RAR archive", "unrar x {path}"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel spreadsheet", OFFICE),
    (b"%PDF", "a PDF", "pdftotext -layout {path}"),
    (b"SQLite format 3\0", "an SQLite database", "sqlite3 -header -csv {path} 'SELECT …'"),
    (b"ARROW1", "an Arrow file", PANDAS.replace("{kind}", "feather")),
    (b"ORC", "an ORC file", PANDAS.replace("{kind}", "orc")),
    (b"\x80\x04\x95", "a Python pickle, which could run code when it is loaded", ""),
    (b"\x80\x05\x95", "a Python pickle, which could run code when it is loaded", ""),
    (b"version https://git-lfs.github.com/spec/", "a Git LFS pointer, not the file itself",
     "git lfs pull --include {path}"),
)  # fmt: skip
ZIP = b"PK\x03\x04"
SPREADSHEETS = (".xlsx", ".xlsm", ".ods")
PARQUET = b"PAR1"


def format_of(path: Path, head: bytes) -> str:
    """`parquet`, `json` (an object a line) or `delimited`, by the first bytes of a file.

    Raises: InputError for what can be recognised but not read, with the command that converts it.
    """
    if head.startswith(PARQUET):
        return "parquet"
    found = _foreign_bytes(path, head) or _foreign_text(path, _text(head))
    if found:
        what, command = found
        stem = shlex.quote(str(path.with_suffix("")))
        remedy = command.replace("{path}", shlex.quote(str(path))).replace("{stem}", stem)
        hint = f"; {'convert it' if 'python' in remedy else 'first'}: {remedy}" if remedy else ""
        raise InputError(f"{path}: {what}{hint}")
    first_line = _text(head).lstrip().partition("\n")[0]
    return "json" if _is_object(first_line) or _is_named_json(path) else "delimited"


def _foreign_bytes(path: Path, head: bytes) -> tuple[str, str] | None:
    if head.startswith(ZIP):
        is_sheet = path.suffix.lower() in SPREADSHEETS or b"[Content_Types].xml" in head
        if is_sheet or b"opendocument.spreadsheet" in head:
            return "a spreadsheet", OFFICE
        return "a zip archive", "unzip {path}"
    return next(((what, how) for start, what, how in SIGNATURES if head.startswith(start)), None)


def _foreign_text(path: Path, text: str) -> tuple[str, str] | None:
    start = text.lstrip()[:512].lower()
    if re.match(r"(%.*\n|\s)*@relation\b", start):
        return "an ARFF file", ARFF
    if re.match(r"<(!doctype html|html|head|\?xml)", start):
        return (
            "a web page, not a table: perhaps the error or log-in page of where it was fetched",
            "curl --fail --location --output {path} ADDRESS",
        )
    if re.match(r"outs:\s*\n\s*- md5:", start):
        return "a DVC pointer, not the file itself", f"dvc pull {shlex.quote(str(path))}"
    if re.match(r"\[\s*\{", start):
        return "one JSON array; an object a line is expected", JSON_LINES
    return None


def _text(head: bytes) -> str:
    """The first bytes as far as they are text, in the encoding that their mark names."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    return head.decode("utf-8-sig", "replace")


def _is_object(line: str) -> bool:
    """Whether a line is a JSON object, or the beginning of one that is longer than the head."""
    if not line.startswith("{"):
        return False
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:', line) is not None


def _is_named_json(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".json")
