"""Files are written whole or not at all, and digests are the standard's."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from full_disk import little_room

from spam_gpt2.common.files import (
    InputError,
    read_json,
    sha256_of,
    whole_file,
    write_csv,
    write_json,
    write_text,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/file.txt"
    with whole_file(path) as beside_path:
        beside_path.write_text("half")
        assert not path.exists()
        beside_path.write_text("whole")
    assert path.read_text() == "whole"
    assert names(path.parent) == ["file.txt"]


def write_half(path: Path, error: type[BaseException]) -> None:
    with whole_file(path) as beside_path:
        beside_path.write_text("half")
        raise error


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error):
        write_half(path, error)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_write_that_fails_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with little_room(10_000), pytest.raises(OSError, match="File too large") as caught:
        write_text(path, "x" * 50_000)
    assert caught.value.filename == str(path)
    assert names(tmp_path) == []


def test_a_file_that_cannot_be_opened_is_named_as_the_caller_did(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 250)  # the file beside it has a longer name, too long for most disks
    with pytest.raises(OSError, match="name too long") as caught:
        write_text(path, "new")
    assert caught.value.filename == str(path)


def test_an_error_that_names_a_file_keeps_that_name(tmp_path: Path) -> None:
    source_path = tmp_path / "missing"
    with pytest.raises(FileNotFoundError) as caught, whole_file(tmp_path / "copy"):
        source_path.read_bytes()
    assert caught.value.filename == str(source_path)


KILLED_WHILE_WRITING = """
import sys, time
from pathlib import Path
from spam_gpt2.common.files import whole_file
with whole_file(Path(sys.argv[1])) as path, path.open("w") as file:
    file.write("half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_a_killed_process_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    command = [sys.executable, "-c", KILLED_WHILE_WRITING, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
        assert writer.stdout.readline().strip() == b"writing"
        writer.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_text_is_utf_8_with_lf(tmp_path: Path) -> None:
    write_text(tmp_path / "text", "£1\nü\n")
    assert (tmp_path / "text").read_bytes() == b"\xc2\xa31\n\xc3\xbc\n"


def test_json_is_indented_in_the_order_given_and_readable(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.5, None, "£"]})
    expected = '{\n  "b": 1,\n  "a": [\n    0.5,\n    null,\n    "£"\n  ]\n}\n'
    assert (tmp_path / "a.json").read_bytes() == expected.encode("utf-8")
    assert read_json(tmp_path / "a.json") == json.loads(expected)


def test_a_figure_that_is_none_is_refused_and_the_old_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_json(path, {"loss": 1.0})
    with pytest.raises(ValueError, match="JSON"):
        write_json(path, {"loss": float("nan")})
    assert read_json(path) == {"loss": 1.0}
    assert names(tmp_path) == ["metrics.json"]


def test_a_missing_file_is_named_with_the_command_that_makes_it(tmp_path: Path) -> None:
    path = tmp_path / "missing.json"
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value) == f"{path}: no such file; `dvc repro` makes it"


@pytest.mark.parametrize("content", [b"", b'{"a": ', b'{"a": "\xff"}'])
def test_damaged_json_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "damaged.json"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_json(path)
    assert str(caught.value).startswith(f"{path}: cannot be read: ")


def test_a_folder_in_place_of_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_json(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: cannot be read: ")


@pytest.mark.parametrize(
    ("content", "digest"),  # of NIST's examples for SHA-256
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 10**6, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ],
    ids=["empty", "abc", "a million a"],
)
def test_the_digest_is_the_standards(tmp_path: Path, content: bytes, digest: str) -> None:
    (tmp_path / "file").write_bytes(content)
    assert sha256_of(tmp_path / "file") == digest


def test_csv_quotes_text_so_that_a_carriage_return_survives(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", pd.DataFrame({"n": [1], "text": ["a\rb"]}))
    assert (tmp_path / "a.csv").read_bytes() == b'"n","text"\n1,"a\rb"\n'
