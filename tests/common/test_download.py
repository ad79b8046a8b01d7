"""Transfers from a server that breaks off, stalls, lies and refuses, and from the disk."""

from __future__ import annotations

import hashlib
import os
import random
import socket
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from full_disk import little_room
from http_server import (
    Behaviour,
    Website,
    breaking_off,
    closed_port,
    compressing,
    ignoring_ranges,
    redirecting,
    refusing,
    sending_another_range,
    sending_more,
    serving,
    silent,
    stalling,
    without_length,
    without_proxies,
)
from repository import ODD_NAME

from spam_gpt2.common.download import (
    DownloadError,
    Patience,
    Pin,
    download,
    download_wheel,
    scratch_folder,
)
from spam_gpt2.common.files import InputError, sha256_of

CONTENT = random.Random(1).randbytes(2_000_000)
OTHER = random.Random(2).randbytes(2_000_000)  # of the same length
PIN = Pin(hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
BREAK = 1_200_000
SLACK = 1 << 18  # bytes that may be lost with a connection
QUICK = Patience(connect=2, read=0.5, attempts=4, pause=0.01)
ONE_TRY = Patience(connect=2, read=0.5, attempts=1)
BREAKS = [
    pytest.param(breaking_off(BREAK), id="closed"),
    pytest.param(stalling(BREAK), id="stalled"),
]


@pytest.fixture
def server() -> Iterator[Website]:
    """A web server with one file."""
    with serving() as website:
        website.add("/file.bin", CONTENT)
        yield website


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failure(url: str, path: Path, pin: Pin | None = None, patience: Patience = QUICK) -> str:
    """The one line of a download that fails."""
    with pytest.raises(DownloadError) as caught:
        download(url, path, pin, patience=patience)
    line = str(caught.value)
    assert "\n" not in line
    assert line.startswith(url)
    return line


def break_off(server: Website, path: Path, after: int = BREAK) -> Path:
    """A call whose only try breaks off; returns what it left beside the destination."""
    server.always(breaking_off(after))
    failure(f"{server.address}/file.bin", path, PIN, ONE_TRY)
    server.recover()
    (part_path,) = path.parent.glob(f".{path.name}.*.part")
    return part_path


def test_a_whole_file_arrives_in_one_request_and_leaves_nothing_else(
    server: Website, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "new/folder/file.bin"
    download(f"{server.address}/file.bin", path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert names(path.parent) == ["file.bin"]
    assert len(server.exchanges) == 1
    assert capfd.readouterr().err == ""  # no progress bar where no one looks


def test_an_empty_file_is_a_file(server: Website, tmp_path: Path) -> None:
    download(server.add("/empty", b""), tmp_path / "empty", Pin(size=0), patience=QUICK)
    assert (tmp_path / "empty").read_bytes() == b""


@pytest.mark.parametrize("fault", BREAKS)
def test_a_broken_transfer_goes_on_where_it_stopped(
    server: Website, tmp_path: Path, fault: Behaviour
) -> None:
    server.once(fault)
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]
    first, second = server.exchanges
    assert first.start is None
    assert BREAK - SLACK <= second.start <= BREAK
    assert second.sent == len(CONTENT) - second.start


def test_it_goes_on_each_time_it_breaks(server: Website, tmp_path: Path) -> None:
    server.once(*[breaking_off(600_000)] * 3)
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    starts = [exchange.start or 0 for exchange in server.exchanges]
    assert starts == sorted(set(starts))
    assert len(starts) == 4
    assert server.sent <= len(CONTENT) + 3 * SLACK


@pytest.mark.parametrize("fault", BREAKS)
def test_a_later_call_goes_on_where_the_last_one_stopped(
    server: Website, tmp_path: Path, fault: Behaviour
) -> None:
    url, path = f"{server.address}/file.bin", tmp_path / "file.bin"
    server.always(fault)
    failure(url, path, PIN, ONE_TRY)
    assert not path.exists()
    server.recover()
    download(url, path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]
    assert len(server.exchanges) == 1
    assert server.sent <= len(CONTENT) - BREAK + SLACK


DOWNLOADS = """
import sys
from pathlib import Path
from spam_gpt2.common.download import download
download(sys.argv[1], Path(sys.argv[2]))
"""


def test_a_later_call_goes_on_after_a_killed_one(server: Website, tmp_path: Path) -> None:
    url, path = f"{server.address}/file.bin", tmp_path / "file.bin"
    server.always(stalling(BREAK))
    with subprocess.Popen([sys.executable, "-c", DOWNLOADS, url, str(path)]) as process:
        wait_until(lambda: any(p.stat().st_size for p in tmp_path.glob(".*")))
        process.kill()
    assert not path.exists()
    server.recover()
    download(url, path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert server.sent < len(CONTENT)


def wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_redirect_is_followed_with_the_range(server: Website, tmp_path: Path) -> None:
    url = f"{server.address}/old"
    server.always(redirecting("/file.bin"), on="/old")
    server.once(breaking_off(BREAK), on="/file.bin")
    download(url, tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.sent <= len(CONTENT) + SLACK


@pytest.mark.parametrize("pin", [PIN, Pin()], ids=["pinned", "unpinned"])
@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(breaking_off(1_000), "the transfer broke off", id="closed"),
        pytest.param(stalling(1_000), "no more data in time", id="stalled"),
        pytest.param(silent, "no more data in time", id="silent"),
    ],
)
def test_a_transfer_that_never_ends_well_is_given_up(
    server: Website, tmp_path: Path, fault: Behaviour, reason: str, pin: Pin
) -> None:
    path = tmp_path / "file.bin"
    path.write_text("old")
    server.always(fault)
    line = failure(f"{server.address}/file.bin", path, pin)
    assert path.read_text() == "old"
    tries = 1 if fault is silent else 4  # who brings nothing costs `Patience.read`, once
    assert len(server.exchanges) == tries
    assert reason in line
    assert ("tried 4 times" in line) == (tries == 4)


def test_waiting_for_a_stalled_server_takes_no_longer_than_patience(
    server: Website, tmp_path: Path
) -> None:
    server.always(stalling(BREAK))
    began = time.monotonic()
    failure(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, ONE_TRY)
    assert 0.5 <= time.monotonic() - began < 3


def test_a_slow_server_that_keeps_sending_is_not_given_up(server: Website, tmp_path: Path) -> None:
    def slow(call) -> None:
        call.head(200, 400)
        for _ in range(4):
            call.body(b"x" * 100)
            time.sleep(0.2)  # each time within the patience for one byte, in all beyond it

    server.always(slow)
    download(f"{server.address}/file.bin", tmp_path / "slow", patience=ONE_TRY)
    assert (tmp_path / "slow").read_bytes() == b"x" * 400


def test_pauses_between_tries_double(
    server: Website, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.always(refusing(503))
    patience = Patience(connect=2, read=2, attempts=4, pause=1.5)
    failure(f"{server.address}/file.bin", tmp_path / "file.bin", patience=patience)
    assert pauses == [1.5, 3.0, 6.0]


WRONG = [
    pytest.param(OTHER, "SHA-256", id="other bytes of the same length"),
    pytest.param(CONTENT[:-1], "1,999,999 bytes instead of 2,000,000", id="a byte less"),
    pytest.param(CONTENT + b"!", "2,000,001 bytes instead of 2,000,000", id="a byte more"),
]


@pytest.mark.parametrize(("content", "reason"), WRONG)
def test_a_wrong_file_is_refused_and_leaves_nothing(
    server: Website, tmp_path: Path, content: bytes, reason: str
) -> None:
    url = server.add("/file.bin", content)
    assert reason in failure(url, tmp_path / "file.bin", PIN)
    assert names(tmp_path) == []
    server.add("/file.bin", CONTENT)
    download(url, tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(("content", "reason"), WRONG)
def test_a_wrong_local_file_is_refused_and_the_old_one_stays(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    source_path, path = tmp_path / "source", tmp_path / "out/file.bin"
    source_path.write_bytes(content)
    path.parent.mkdir()
    path.write_text("old")
    assert reason in failure(str(source_path), path, PIN)
    assert path.read_text() == "old"
    assert names(path.parent) == ["file.bin"]


def test_a_wrong_end_after_a_right_beginning_is_refused_and_forgotten(
    server: Website, tmp_path: Path
) -> None:
    path = tmp_path / "file.bin"
    break_off(server, path)
    url = server.add("/file.bin", OTHER)  # the server's file changed in between
    assert "SHA-256" in failure(url, path, PIN)
    assert names(tmp_path) == []
    server.add("/file.bin", CONTENT)
    download(url, path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_what_another_try_cannot_change_is_not_tried_again(
    server: Website, tmp_path: Path, status: int
) -> None:
    server.always(refusing(status))
    line = failure(f"{server.address}/file.bin", tmp_path / "file.bin")
    assert f"the server answers {status}" in line
    assert len(server.exchanges) == 1
    assert names(tmp_path) == []


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: Website, tmp_path: Path, status: int) -> None:
    server.once(refusing(status))
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert [exchange.status for exchange in server.exchanges] == [status, 200]


def test_a_server_that_stays_busy_is_given_up(server: Website, tmp_path: Path) -> None:
    server.always(refusing(503))
    line = failure(f"{server.address}/file.bin", tmp_path / "file.bin")
    assert "503 Service Unavailable" in line
    assert len(server.exchanges) == 4
    assert names(tmp_path) == []


def test_a_busy_server_does_not_cost_what_has_arrived(server: Website, tmp_path: Path) -> None:
    server.once(breaking_off(BREAK), refusing(503), refusing(503))
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.exchanges[-1].start >= BREAK - SLACK


def test_a_closed_port_is_one_line(tmp_path: Path) -> None:
    with without_proxies():
        line = failure(f"{closed_port()}/file.bin", tmp_path / "file.bin")
    assert "the connection is refused" in line
    assert names(tmp_path) == []


def test_a_name_that_does_not_resolve_is_tried_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def resolve(host: str, *args: object, **kwargs: object) -> None:
        asked.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with without_proxies():
        line = failure("http://no-such-host.invalid/file.bin", tmp_path / "file.bin")
    assert "cannot be resolved" in line
    assert asked == ["no-such-host.invalid"] * 2


@pytest.mark.parametrize("pin", [PIN, Pin()], ids=["pinned", "unpinned"])
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ignoring_ranges, id="all"),
        pytest.param(without_length(), id="all without its length"),
    ],
)
def test_a_server_without_ranges_still_gives_the_right_file(
    server: Website, tmp_path: Path, fault: Behaviour, pin: Pin
) -> None:
    server.once(breaking_off(BREAK), fault)
    download(f"{server.address}/file.bin", tmp_path / "file.bin", pin, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.exchanges) == 2
    assert server.exchanges[1].start > 0  # it was asked for the rest, and sent all


@pytest.mark.parametrize("pin", [PIN, Pin()], ids=["pinned", "unpinned"])
@pytest.mark.parametrize("fault", [sending_another_range, sending_more])
def test_a_range_that_does_not_fit_is_not_used(
    server: Website, tmp_path: Path, fault: Behaviour, pin: Pin
) -> None:
    server.once(breaking_off(BREAK), fault)
    download(f"{server.address}/file.bin", tmp_path / "file.bin", pin, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert len(server.exchanges) == 3


def test_a_part_longer_than_the_file_is_forgotten(server: Website, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    part_path = break_off(server, path)
    part_path.write_bytes(CONTENT + b"more")
    download(f"{server.address}/file.bin", path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]
    assert server.exchanges[0].status == 416


def test_a_part_that_is_whole_already_is_no_obstacle(server: Website, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    break_off(server, path).write_bytes(CONTENT)  # killed just before it was renamed
    download(f"{server.address}/file.bin", path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert names(tmp_path) == ["file.bin"]


def test_parts_of_two_addresses_are_not_mixed(server: Website, tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    break_off(server, path)
    download(server.add("/other.bin", OTHER), path, patience=QUICK)
    assert path.read_bytes() == OTHER
    assert server.exchanges[0].start is None


def test_a_server_need_not_say_how_long_the_file_is(server: Website, tmp_path: Path) -> None:
    server.always(without_length())
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_the_pin_tells_when_such_a_server_breaks_off(server: Website, tmp_path: Path) -> None:
    server.always(without_length(after=BREAK))
    failure(f"{server.address}/file.bin", tmp_path / "file.bin", PIN)
    assert not (tmp_path / "file.bin").exists()
    server.recover()
    download(f"{server.address}/file.bin", tmp_path / "file.bin", PIN, patience=QUICK)
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_lengths_count_the_files_own_bytes(server: Website, tmp_path: Path) -> None:
    text = b"the same line again\n" * 50_000
    server.always(compressing)
    url = server.add("/vocab.bpe", text)
    download(url, tmp_path / "vocab.bpe", Pin(size=len(text)), patience=QUICK)
    assert (tmp_path / "vocab.bpe").read_bytes() == text
    assert len(server.exchanges) == 1


@pytest.mark.parametrize("name", ["file.bin", "a name with spaces", "ü#and?and&"])
@pytest.mark.parametrize("address", [str, Path.as_uri], ids=["path", "file address"])
def test_a_local_file_is_copied(tmp_path: Path, name: str, address: Callable[[Path], str]) -> None:
    source_path = tmp_path / name
    source_path.write_bytes(CONTENT)
    download(address(source_path), tmp_path / "out/copy", PIN)
    assert (tmp_path / "out/copy").read_bytes() == source_path.read_bytes() == CONTENT
    assert names(tmp_path / "out") == ["copy"]


@pytest.mark.parametrize("scheme", ["file://", "file:", "file://localhost"])
def test_a_file_address_may_be_typed_as_the_path_is(tmp_path: Path, scheme: str) -> None:
    """Such an address has no query and no fragment, so that ? and # can only be the path's."""
    folder = tmp_path / ODD_NAME
    folder.mkdir()
    (folder / "file.bin").write_bytes(CONTENT)
    download(f"{scheme}{folder}/file.bin", tmp_path / "copy", PIN)
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_a_path_may_start_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))  # the same on Windows
    (tmp_path / "file.bin").write_bytes(CONTENT)
    download("~/file.bin", tmp_path / "copy", PIN)
    assert (tmp_path / "copy").read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["missing", "."])
def test_what_cannot_be_copied_is_named(tmp_path: Path, name: str) -> None:
    failure(str(tmp_path / name), tmp_path / "out/copy")
    assert names(tmp_path / "out") == []


def test_on_a_full_disk_the_part_stays_and_is_named(server: Website, tmp_path: Path) -> None:
    url, path = f"{server.address}/file.bin", tmp_path / "file.bin"
    with little_room(BREAK), pytest.raises(OSError, match="File too large") as caught:
        download(url, path, PIN, patience=QUICK)
    (part_path,) = tmp_path.iterdir()
    assert caught.value.filename == str(part_path)
    assert len(server.exchanges) == 1  # to ask again would make no room
    download(url, path, PIN, patience=QUICK)
    assert path.read_bytes() == CONTENT
    assert server.exchanges[1].sent == len(CONTENT) - BREAK


def test_a_copy_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    source_path = tmp_path / "file.bin"
    source_path.write_bytes(CONTENT)
    with little_room(BREAK), pytest.raises(OSError, match="File too large"):
        download(str(source_path), tmp_path / "out/copy", PIN)
    assert names(tmp_path / "out") == []


def test_a_folder_that_cannot_be_made_is_named(server: Website, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(FileExistsError) as caught:
        download(f"{server.address}/file.bin", tmp_path / "out/copy", PIN)
    assert caught.value.filename == str(tmp_path / "out")


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/file.bin", "s3://bucket/file.bin"])
def test_an_unknown_kind_of_address_is_one_line(tmp_path: Path, url: str) -> None:
    assert "only https, http and file addresses" in failure(url, tmp_path / "file.bin")
    assert names(tmp_path) == []


def test_the_user_sees_a_download_error_as_one_line() -> None:
    assert issubclass(DownloadError, InputError)  # which every stage turns into one line


@pytest.mark.parametrize(
    ("pin", "is_right"),
    [
        (Pin(), True),
        (Pin(size=3), True),
        (Pin(size=4), False),
        (Pin(sha256=hashlib.sha256(b"abc").hexdigest()), True),
        (Pin(sha256=hashlib.sha256(b"abd").hexdigest()), False),
        (Pin(hashlib.sha256(b"abc").hexdigest(), 4), False),
    ],
)
def test_a_pin_is_met_only_when_all_it_says_is_so(tmp_path: Path, pin: Pin, is_right: bool) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    assert (pin.problem(tmp_path / "abc") is None) == is_right


@pytest.mark.parametrize("is_beside", [True, False])
def test_a_scratch_folder_is_gone_afterwards(tmp_path: Path, is_beside: bool) -> None:
    path = tmp_path / "new/result"
    with scratch_folder(beside=path if is_beside else None) as folder:
        (Path(folder) / "file").write_text("on the way")
        assert (Path(folder).parent == path.parent) == is_beside
    assert not Path(folder).exists()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all that pip knows of packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def write_wheel(folder: Path) -> Path:
    """The smallest wheel that pip takes for one."""
    path = folder / "tiny_words-1.0-py3-none-any.whl"
    about = "tiny_words-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_words/words.csv", "a,b\n")
        archive.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: tiny-words\nVersion: 1.0"
        )
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{about}/RECORD", "")
    return path


def test_pip_fetches_a_wheel_by_its_digest(index: Path, tmp_path: Path) -> None:
    wheel_path = write_wheel(index)
    with scratch_folder(beside=tmp_path / "out") as folder:
        got = download_wheel("tiny-words==1.0", sha256_of(wheel_path), Path(folder))
        assert got.read_bytes() == wheel_path.read_bytes()


def wheel_failure(sha256: str, folder: Path) -> str:
    folder.mkdir()
    with pytest.raises(DownloadError) as caught:
        download_wheel("tiny-words==1.0", sha256, folder)
    line = str(caught.value)
    assert line.startswith("wheel:tiny-words==1.0: ")
    assert "\n" not in line
    assert not list(folder.glob("*.whl"))
    return line


def test_a_wheel_with_another_digest_is_refused(index: Path, tmp_path: Path) -> None:
    write_wheel(index)
    wheel_failure("0" * 64, tmp_path / "out")


def test_a_wheel_that_is_nowhere_is_one_line(index: Path, tmp_path: Path) -> None:
    assert "tiny-words==1.0" in wheel_failure("0" * 64, tmp_path / "out").split(": ", 1)[1]


def test_a_source_archive_is_never_run(index: Path, tmp_path: Path) -> None:
    script_path, marker_path = tmp_path / "setup.py", tmp_path / "it ran"
    script_path.write_text(f"open({str(marker_path)!r}, 'w')\n")
    archive_path = index / "tiny-words-1.0.tar.gz"
    with tarfile.open(archive_path, "w:gz") as archive:
        archive.add(script_path, "tiny-words-1.0/setup.py")
    wheel_failure(sha256_of(archive_path), tmp_path / "out")
    assert not marker_path.exists()
