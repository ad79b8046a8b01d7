"""What a file is by its first bytes: a table that can be read, or something to convert first."""

from __future__ import annotations

import json
import re
import shlex
import zipfile
from pathlib import Path

from spam_gpt2.common.files import InputError

HEAD = 4096  # bytes that tell
PARQUET = b"PAR1"
ZIP = b"PK\x03\x04"
OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # a compound file, as Office wrote before 2007

# Commands that make of a file what can be read. {path} and {stem}, the path without its ending, are
# quoted for the shell. LibreOffice overwrites without asking, so that it writes to a folder. 44 and
# 34 are its `,` and `"`; without 76, UTF-8, it writes cp1252, and `?` for what that lacks.
OFFICE = (
    "soffice --headless{filter} --convert-to 'csv:Text - txt - csv (StarCalc):44,34,76' "
    "--outdir converted {path}"
)
PANDAS = (
    "python -c 'import pandas, sys; pandas.read_{call}.to_parquet(sys.argv[2])' "
    "{path} {stem}.parquet"
)
JSON_LINES = (
    "python -c 'import json, sys; print(*map(json.dumps, json.load(sys.stdin.buffer){key}), "
    'sep="\\n")\' < {path} > {stem}.jsonl'
)
ARFF = (
    "python -c 'import csv, sys; rows = [row for row in csv.reader(sys.stdin, quotechar=chr(39), "
    'escapechar=chr(92)) if row and row[0][:1] != "%"]; '
    'data = [row[0].strip().lower() for row in rows].index("@data"); '
    'names = [row[0].split()[1] for row in rows[:data] if row[0].lower().startswith("@attr")]; '
    "csv.writer(sys.stdout).writerows([names, *rows[data + 1:]])' < {path} > {stem}.csv"
)
SQLITE = (
    "sqlite3 -header -csv {path} 'SELECT * FROM NAME' > {stem}.csv "
    "(`sqlite3 {path} .tables` lists the names)"
)
CURL = "curl --fail --location --output {path} ADDRESS"
PICKLE = "a Python pickle, which could run code when it is loaded"

Found = tuple[str, str]  # what a file is, and the command; "" where none makes a table of it

# Signatures as the formats' specifications give them, and where they stand.
SIGNATURES: tuple[tuple[int, bytes, Found], ...] = (
    (0, b"7z\xbc\xaf\x27\x1c", ("a 7z archive", "7z x {path}")),
    (0, b"Rar!", ("a RAR archive", "unrar x {path}")),
    (257, b"ustar", ("a tar archive", "tar -xkf {path}")),
    (0, b"%PDF", ("a PDF, which holds no table", "")),
    (0, b"SQLite format 3\0", ("an SQLite database", SQLITE)),
    (0, b"ARROW1", ("an Arrow file", PANDAS.replace("{call}", "feather(sys.argv[1])"))),
    (0, b"ORC", ("an ORC file", PANDAS.replace("{call}", "orc(sys.argv[1])"))),
    *((0, bytes([0x80, protocol]), (PICKLE, "")) for protocol in (2, 3, 4, 5)),
)
# Of compressed files, with their ending, which the program asks for, and the program.
COMPRESSED = (
    (b"\x1f\x8b", "a gzip archive", ".gz", "gunzip", " --keep"),
    (b"BZh", "a bzip2 archive", ".bz2", "bunzip2", " --keep"),
    (b"\xfd7zXZ\0", "an xz archive", ".xz", "unxz", " --keep"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", ".zst", "unzstd", ""),  # which keeps by itself
)
# How pandas begins what `to_json` writes in each of its orientations but two.
PANDAS_JSON = (
    (r'\{\s*"[^"]*"\s*:\s*\{\s*"0"\s*:', "columns"),
    (r'\{\s*"0"\s*:\s*\{', "index"),
    (r'\{\s*"columns"\s*:\s*\[', "split"),
    (r'\{\s*"schema"\s*:\s*\{\s*"fields"', "table"),
)


def format_of(path: Path, head: bytes) -> str:
    """`parquet`, `json` (an object a line) or `delimited`, by the first bytes of a file.

    Raises: InputError for what can be recognised but not read, with the command that converts it.
    """
    if head.startswith(PARQUET):
        return "parquet"
    text = _text(head)
    found = (
        _office(path, head)
        or _compressed(path, head)
        or next((found for at, start, found in SIGNATURES if head.startswith(start, at)), None)
        or _pointer(path, text)
        or _markup(path, text)
        or _json_document(path, text, is_all=len(head) < HEAD)
    )
    if found:
        what, command = found
        shown = str(path) if not str(path).startswith("-") else f"./{path}"  # or it is an option
        stem = str(Path(shown).with_suffix(""))
        for name, value in (("path", shown), ("stem", stem if stem[0] != "-" else f"./{stem}")):
            command = command.replace(f"{{{name}}}", shlex.quote(value))
        raise InputError(f"{path}: {what}{f'; first run: {command}' if command else ''}")
    is_json = _is_object(text.lstrip().partition("\n")[0]) or _is_named_json(path)
    return "json" if is_json else "delimited"


def _office(path: Path, head: bytes) -> Found | None:
    """A spreadsheet, another office file or a zip archive: they begin alike."""
    if head.startswith(OLD_OFFICE):
        content = path.read_bytes() if path.is_file() else head
        for stream, suffix in (("Workbook", ".xls"), ("Book", ".xls"), ("WordDocument", "")):
            if stream.encode("utf-16-le") in content:
                return _spreadsheet(path, suffix) if suffix else ("a Word document, no table", "")
        return "an old Office file, and no spreadsheet", ""
    if not head.startswith(ZIP):
        return None
    members = _zip_members(path)
    if "word/document.xml" in members:
        return "a Word document, no table", ""
    if "xl/workbook.xml" in members or (not members and path.suffix in (".xlsx", ".xlsm")):
        return _spreadsheet(path, ".xlsx")
    if b"opendocument.spreadsheet" in head or (not members and path.suffix == ".ods"):
        return _spreadsheet(path, ".ods")
    return "a zip archive", "unzip {path}"


def _spreadsheet(path: Path, suffix: str) -> Found:
    """LibreOffice goes by a file's ending, and one that it knows is not the wrong one to it."""
    command = OFFICE.replace("{filter}", "")
    if path.suffix.lower() not in (".xls", ".xlsx", ".xlsm", ".ods"):
        renamed = "{stem}" + suffix
        command = f"cp {{path}} {renamed} && " + command.replace("{path}", renamed)
    return "a spreadsheet", command


def _zip_members(path: Path) -> list[str]:
    """Names in the archive; none where it is damaged, or a pipe that is read once."""
    if not path.is_file():
        return []
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return []


def _compressed(path: Path, head: bytes) -> Found | None:
    for start, what, suffix, program, keep in COMPRESSED:
        if head.startswith(start):
            if path.suffixes[-2:-1] == [".tar"] or path.suffix == ".tgz":
                return what, "tar -xkf {path}"
            if path.suffix == suffix:
                return what, f"{program}{keep} {{path}}"
            return what, f"{program} < {{path}} > {{stem}}.unpacked{shlex.quote(path.suffix)}"
    return None


def _pointer(path: Path, text: str) -> Found | None:
    if text.startswith("version https://git-lfs.github.com/spec/"):
        # The name as a pattern, in any folder: a path would count from the repository's root.
        name = shlex.quote(re.sub(r"[^\w.-]", "?", path.name))
        folder = shlex.quote(str(path.parent))
        command = f"git -C {folder} lfs pull --include {name}"
        return "a Git LFS pointer, not the file itself", command
    if re.match(r"(md5: \S+\n|frozen: true\n)*(outs|deps):\s*\n\s*- ", text):
        return "a DVC pointer, not the file itself", "dvc pull {path}"
    return None


def _markup(path: Path, text: str) -> Found | None:
    start = text.lstrip()[:512].lower()
    if re.match(r"(%.*\n|\s)*@relation\b", start):
        return "an ARFF file", ARFF
    if re.match(r"<\?xml", start) and "<html" not in start:
        if "urn:schemas-microsoft-com:office:spreadsheet" in text:
            return _spreadsheet(path, ".xls")
        call = 'xml(sys.argv[1], parser="etree", dtype=str)'
        return "an XML file", PANDAS.replace("{call}", call)
    if not re.match(r"<(!doctype html|html|head|\?xml|table|meta)", start):
        return None
    if path.suffix.lower() == ".xls":  # as many web sites export it
        return "a web page in the name of a spreadsheet", OFFICE.replace(
            "{filter}", " --infilter='HTML (StarCalc)'"
        )
    return "a web page, not a table: perhaps the error or log-in page of where it was fetched", CURL


def _json_document(path: Path, text: str, *, is_all: bool) -> Found | None:
    """JSON that is one value, not an object a line."""
    start = text.lstrip("\ufeff \t\r\n")
    what = "one JSON {}; an object a line is expected"
    if re.match(r"\[\s*\{", start):
        return what.format("array"), JSON_LINES.replace("{key}", "")
    first_line, _, more = start.partition("\n")
    if not start.startswith("{") or (_is_whole_object(first_line) and (more.strip() or not is_all)):
        return None
    if not (more or is_all or path.suffix.lower() == ".json"):
        return None  # the first line is longer than what we see: it may be one of many
    for pattern, orientation in PANDAS_JSON:
        if re.match(pattern, start):
            call = f'json(sys.argv[1], orient="{orientation}", dtype=False)'
            return what.format("object"), PANDAS.replace("{call}", call)
    if match := re.match(r'\{\s*("\w+")\s*:\s*\[\s*\{', start):
        return what.format("object"), JSON_LINES.replace("{key}", f"[{match[1]}]")
    return None


def _text(head: bytes) -> str:
    """The first bytes as far as they are text, in the encoding that their mark names."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    return head.decode("utf-8-sig", "replace")


def _is_object(line: str) -> bool:
    """Whether a line is a JSON object, or the beginning of one that is longer than the head."""
    return _is_whole_object(line) or re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:', line) is not None


def _is_whole_object(line: str) -> bool:
    try:
        return line.startswith("{") and isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _is_named_json(path: Path) -> bool:
    return path.suffix.lower() in (".jsonl", ".ndjson", ".json")
