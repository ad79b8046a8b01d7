"""What is no table is named, and the command that the line ends with makes one of it: it is run."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import os
import shutil
import sqlite3
import struct
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.data.formats import HEAD, format_of
from spam_gpt2.data.messages import read_messages

MESSAGES = [
    ("ham", 'Hi, are you coming? Dinner at 7; "ok"'),
    ("spam", "£1000 prize! Call 0800 now — €5, déjà vu 😀"),
    ("ham", "zero 007"),
    ("spam", "50% off, don't wait"),
] * 3
FRAME = pd.DataFrame(MESSAGES, columns=["label", "text"])
CSV = FRAME.to_csv(index=False).encode()

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the commands are for a shell")


def packed(pack: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(pack(CSV)) and None


def by_program(*command: str, source: str = "plain.csv") -> Callable[[Path], None]:
    """A file that a program makes of the messages in CSV; {} in the command is the file."""

    def make(path: Path) -> None:
        (path.parent / source).write_bytes(CSV)
        run([part.replace("{}", str(path)) for part in command], path.parent)
        (path.parent / source).unlink()

    return make


def by_office(kind: str) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        folder = path.parent / "office"
        folder.mkdir()
        (folder / "made.csv").write_bytes(CSV)
        run(office("--infilter=CSV:44,34,76,1,1/2/2/2", "--convert-to", kind, "made.csv"), folder)
        (folder / f"made.{kind}").rename(path)
        shutil.rmtree(folder)

    return make


def office(*arguments: str) -> list[str]:
    return ["soffice", "--headless", *arguments]


def zipped(data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("made/sms.csv", data)
    return file.getvalue()


def tarred(data: bytes, mode: str = "w") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        member = tarfile.TarInfo("made/sms.csv")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return file.getvalue()


def rar(data: bytes) -> bytes:
    """A RAR 5 archive of one stored file, by the format's published description."""

    def number(value: int) -> bytes:
        low, rest = value & 0x7F, value >> 7
        return bytes([low | 0x80]) + number(rest) if rest else bytes([low])

    def header(body: bytes) -> bytes:
        sized = number(len(body)) + body
        return struct.pack("<I", zlib.crc32(sized)) + sized

    crc, name = struct.pack("<I", zlib.crc32(data)), b"sms.csv"
    fields = number(4) + number(len(data)) + number(0o644) + crc + number(0) + number(1)
    member = number(2) + number(2) + number(len(data)) + fields + number(len(name)) + name
    begin, end = (header(bytes([kind, 0, 0])) for kind in (1, 5))
    return b"Rar!\x1a\x07\x01\x00" + begin + header(member) + data + end


def sqlite(path: Path) -> None:
    store = sqlite3.connect(path)
    FRAME.to_sql("NAME", store, index=False)
    store.close()


def arff(data: bytes) -> bytes:
    rows = [f"{label},'{text.replace(chr(39), chr(92) + chr(39))}'" for label, text in MESSAGES]
    head = (
        "% a comment\n@RELATION sms\n@attribute class {ham,spam}\n@attribute text string\n\n@DATA\n"
    )
    return (head + "\n".join(rows) + "\n% the end\n").encode()


def web_page(data: bytes) -> bytes:
    return f"<html><head><meta charset='utf-8'></head>{FRAME.to_html(index=False)}</html>".encode()


RECORDS = json.loads(FRAME.to_json(orient="records"))

# The name, how it is made, the program that the command needs, what is said, and what it makes.
FORMS: dict[str, tuple[str, Callable[[Path], object], str, str, str]] = {
    "xlsx": ("a.xlsx", by_office("xlsx"), "soffice", "a spreadsheet", "converted/a.csv"),
    "xls": ("a b.xls", by_office("xls"), "soffice", "a spreadsheet", "converted/a b.csv"),
    "ods": ("a.ods", by_office("ods"), "soffice", "a spreadsheet", "converted/a.csv"),
    "misnamed": ("a [1].csv", by_office("xlsx"), "soffice", "a spreadsheet", "converted/a [1].csv"),
    "exported": ("a.xls", packed(web_page), "soffice", "a web page in the", "converted/a.csv"),
    "gzip": ("a b.csv.gz", packed(gzip.compress), "gunzip", "a gzip archive", "a b.csv"),
    "bzip2": ("a.csv.bz2", packed(bz2.compress), "bunzip2", "a bzip2 archive", "a.csv"),
    "xz": ("a.csv.xz", packed(lzma.compress), "unxz", "an xz archive", "a.csv"),
    "zst": ("a.csv.zst", by_program("zstd", "-q", "plain.csv", "-o", "{}"), "unzstd",
            "a Zstandard archive", "a.csv"),
    "hidden gzip": ("a.csv", packed(gzip.compress), "gunzip", "a gzip archive", "a.unpacked.csv"),
    "zip": ("a [1].zip", packed(zipped), "unzip", "a zip archive", "made/sms.csv"),
    "tar": ("a.tar", packed(tarred), "tar", "a tar archive", "made/sms.csv"),
    "tar.gz": ("a.tar.gz", packed(lambda data: tarred(data, "w:gz")), "tar", "a gzip archive",
               "made/sms.csv"),
    "7z": ("-a.7z", by_program("7z", "a", "{}", "plain.csv"), "7z", "a 7z archive", "plain.csv"),
    "RAR": ("a b.rar", packed(rar), "unrar", "a RAR archive", "sms.csv"),
    "SQLite": ("a.db", sqlite, "sqlite3", "an SQLite database", "a.csv"),
    "Arrow": ("a b.feather", FRAME.to_feather, "python", "an Arrow file", "a b.parquet"),
    "ORC": ("a.orc", FRAME.to_orc, "python", "an ORC file", "a.parquet"),
    "ARFF": ("a b.arff", packed(arff), "python", "an ARFF file", "a b.csv"),
    "XML": ("a.xml", lambda path: FRAME.to_xml(path, parser="etree"), "python", "an XML file",
            "a.parquet"),
    "array": ("a b.json", lambda path: path.write_text(json.dumps(RECORDS)), "python",
              "one JSON array", "a b.jsonl"),
    "marked array": ("a.json", lambda path: path.write_text(json.dumps(RECORDS), "utf-8-sig"),
                     "python", "one JSON array", "a.jsonl"),
    "answer": ("a.json", lambda path: path.write_text(json.dumps({"data": RECORDS}, indent=1)),
               "python", "one JSON object", "a.jsonl"),
    **{
        orient: ("a.json", lambda path, orient=orient: FRAME.to_json(path, orient=orient),
                 "python", "one JSON object", "a.parquet")
        for orient in ("columns", "index", "split", "table")
    },
}  # fmt: skip


def run(command: list[str], folder: Path) -> None:
    places = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": places, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_messages(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def run_remedy(message: str, folder: Path) -> None:
    command = message.partition("; first run: ")[2].partition(" (`")[0]
    run(["bash", "-c", command], folder)


@pytest.mark.parametrize("form", FORMS)
def test_the_command_that_a_refusal_names_makes_what_is_read(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, make, program, said, made = FORMS[form]
    for needed in (program, {"zst": "zstd", "exported": "soffice"}.get(form, program)):
        if needed != "python" and shutil.which(needed) is None:
            pytest.skip(f"no {needed} here")
    monkeypatch.chdir(tmp_path)
    make(Path(name).absolute() if form != "7z" else tmp_path / name)
    before = Path(name).read_bytes()
    message = refusal(Path(name))
    assert message.startswith(f"{name}: {said}")
    run_remedy(message, tmp_path)
    messages = read_messages(Path(made))
    assert list(zip(messages["label"], messages["text"], strict=True)) == MESSAGES
    assert Path(name).read_bytes() == before


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="no git-lfs here")
@pytest.mark.parametrize("name", ["messages.csv", "my data/it's [1], new.csv"])
def test_a_pointer_of_git_lfs_becomes_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """By the path that the parameter has, from any folder; other files stay pointers."""
    work, clone = tmp_path / "work", tmp_path / "a clone"
    work.mkdir()
    for content, path in ((CSV, work / name), (b"large", work / "other.bin")):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    git = ["git", "-c", "user.email=test@example.org", "-c", "user.name=Test"]
    for command in (
        ["init", "-q"], ["lfs", "install", "--local"], ["lfs", "track", "*.csv", "*.bin"],
        ["add", "--all"], ["commit", "-qm", "messages"],
    ):  # fmt: skip
        run([*git, *command], work)
    monkeypatch.setenv("GIT_LFS_SKIP_SMUDGE", "1")
    run([*git, "clone", "-q", str(work), str(clone)], tmp_path)
    monkeypatch.delenv("GIT_LFS_SKIP_SMUDGE")
    message = refusal(clone / name)
    assert "a Git LFS pointer, not the file itself" in message
    run_remedy(message, tmp_path)
    assert (clone / name).read_bytes() == CSV
    assert (clone / "other.bin").read_bytes().startswith(b"version https://git-lfs")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.docx", "word/document.xml", "a Word document, no table"),
        ("a.zip", "SMSSpamCollection", "a zip archive; first run: unzip "),
        ("a.xlsx", "xl/workbook.xml", "a spreadsheet; first run: soffice "),
    ],
)
def test_zip_archives_are_told_apart_by_their_members(
    tmp_path: Path, name: str, content: str, said: str
) -> None:
    """What tells may stand behind the first bytes."""
    with zipfile.ZipFile(tmp_path / name, "w") as archive:
        archive.writestr("[Content_Types].xml", "x" * HEAD)
        archive.writestr(content, "<a/>")
    assert said in refusal(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.pdf", b"%PDF-1.7", "a PDF, which holds no table"),
        ("a.pkl", b"\x80\x02}q\0", "a Python pickle, which could run code when it is loaded"),
        ("a.dvc", b"outs:\n- md5: 0\n  path: a.csv\n", "a DVC pointer, not the file itself"),
        ("a.dvc", b"md5: 0\nfrozen: true\ndeps:\n- path: b\n", "a DVC pointer, not the file"),
        ("a.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\1\2\3\xf0\xf1", "line 1: not UTF-8, nor any"),
        ("a.csv", bytes(range(256)) * 20, "nor any other text"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "WordDocument".encode("utf-16-le"),
         "a Word document, no table"),
        ("a.csv", b"<!DOCTYPE html>\n<table>", "a web page, not a table"),
    ],
)  # fmt: skip
def test_what_no_command_converts_is_named(
    tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert said in refusal(tmp_path / name)


@pytest.mark.parametrize(
    "line",
    [
        '{"label": "ham", "text": "hi"}',
        '{"0": "ham", "1": "hi"}',
        '{"columns": "ham", "text": "hi"}',
        '{"tags": {"0": 1}, "text": "hi"}',
        '{"messages": [{"role": "user"}], "text": "hi"}',
    ],
)
@pytest.mark.parametrize("length", [0, 2 * HEAD])
def test_an_object_a_line_is_read_whatever_it_begins_with(line: str, length: int) -> None:
    """Even where the first line is longer than what is looked at."""
    long_line = line[:-1] + f', "more": "{"x" * length}"}}\n'
    head = (long_line * 2).encode()[:HEAD]
    assert format_of(Path("a.jsonl"), head) == "json"
