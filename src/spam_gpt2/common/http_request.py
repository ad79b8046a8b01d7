"""One request to a server that may do anything: bounded in time, and faults of one kind."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

CHUNK = 1 << 14  # bytes; a break loses at most one
QUEUED = 64  # chunks on the way from the thread that reads
UNKNOWN_HOST = "the host's name cannot be resolved"
SILENT = "no more data in time"


class ServerError(Exception):
    """What a server did wrong, in a few words, and whether another try may help."""

    def __init__(self, reason: str, *, may_pass: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.may_pass = reason, may_pass


@dataclass(frozen=True)
class Patience:
    """How long to put up with a server: seconds, tries a file, and bytes a second."""

    connect: float = 10.0
    read: float = 30.0  # without a byte
    attempts: int = 4
    pause: float = 1.0  # before the second try; doubled before each further one
    rate: float = 1000.0  # bytes a second, at least,
    window: float = 30.0  # over so many seconds
    whole: float = 120.0  # for all tries of a small file together


class Pace:
    """Watches a transfer: its rate over each window, and the end of all patience."""

    def __init__(self, patience: Patience, deadline: float) -> None:
        self.patience, self.deadline = patience, deadline
        self._began, self._bytes = time.monotonic(), 0

    def restart(self) -> None:
        """A new request has a new window."""
        self._began, self._bytes = time.monotonic(), 0

    def wait(self) -> float:
        """Seconds that the next bytes may take."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise ServerError(f"not whole in {self.patience.whole:g} s", may_pass=False)
        return min(self.patience.read, left)

    def count(self, size: int) -> None:
        """Note bytes. Raises: ServerError when a window brought too few."""
        now = time.monotonic()
        self._bytes += size
        if now - self._began < self.patience.window:
            return
        if self._bytes < self.patience.rate * (now - self._began):
            raise ServerError(
                f"slower than {self.patience.rate:,.0f} bytes a second", may_pass=False
            )
        self._began, self._bytes = now, 0


@dataclass(frozen=True)
class Answer:
    """Status and headers, as far as they concern a file, and the bytes that follow."""

    status: int
    reason: str
    name: str
    encoding: str
    start: int | None  # of the range that is sent
    total: int | None  # bytes of the whole file, when the server says; not all do
    pace: Pace
    items: queue.Queue[Any]

    def chunks(self) -> Iterator[bytes]:
        """The body as it was sent, never unpacked. Raises: ServerError."""
        while (item := _next(self.items, self.pace)) is not None:
            self.pace.count(len(item))
            yield item


@contextmanager
def ask(
    url: str, have: int, pace: Pace, headers: Mapping[str, str] | None = None
) -> Iterator[Answer]:
    """Request a file, from a byte on. Raises: ServerError for all that goes wrong with the server.

    A thread reads, since no time-out of a socket bounds a name that is slow to resolve or a header
    that comes a byte at a time. When it is given up, it ends with its next byte or time-out.
    """
    items: queue.Queue[Any] = queue.Queue(QUEUED)
    stop = threading.Event()
    pace.restart()
    range_from = {"Range": f"bytes={have}-"} if have else {}
    # Lengths and ranges count the file's own bytes.
    wanted = {**(headers or {}), **range_from, "Accept-Encoding": "identity"}
    arguments = (url, wanted, pace.patience, items, stop)
    threading.Thread(target=_read, args=arguments, daemon=True).start()
    try:
        response = _next(items, pace)
        yield _answer(url, response, pace, items)
    finally:
        stop.set()


def _next(items: queue.Queue[Any], pace: Pace) -> Any:
    """What the thread sends: the response, chunks, None. Raises: ServerError for its errors."""
    try:
        item = items.get(timeout=pace.wait())
    except queue.Empty:
        pace.wait()  # says so when the whole time is up
        raise ServerError(SILENT) from None
    if isinstance(item, Exception):
        raise fault_of(item) from item
    return item


def _read(
    url: str,
    headers: Mapping[str, str],
    patience: Patience,
    items: queue.Queue[Any],
    stop: threading.Event,
) -> None:
    """In the thread: put the response, its chunks and None, or the error that ends them."""

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return items.put(item, timeout=0.2)
            except queue.Full:
                continue

    timeout = (patience.connect, patience.read)
    try:
        with requests.get(url, headers=headers, stream=True, timeout=timeout) as response:
            put(response)
            while not stop.is_set():
                chunk = response.raw.read1(CHUNK, decode_content=False)
                put(chunk or None)
                if not chunk:
                    return
    except Exception as error:  # whatever kind: it is the server's, and the asker's to name
        put(error)


def _answer(url: str, response: requests.Response, pace: Pace, items: queue.Queue[Any]) -> Answer:
    span = response.headers.get("Content-Range", "")
    is_part = response.status_code == 206
    length = span.rpartition("/")[2] if is_part else response.headers.get("Content-Length", "")
    return Answer(
        status=response.status_code,
        reason=str(response.reason)[:100],
        name=PurePosixPath(urlsplit(url).path).name,
        encoding=response.headers.get("Content-Encoding", "").strip().lower()[:100],
        start=_number(span.removeprefix("bytes ").partition("-")[0]),
        total=_number(length),
        pace=pace,
        items=items,
    )


def _number(text: str) -> int | None:
    """A number as HTTP writes it; `²` is a digit to Python, and 5,000 digits are an error."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def fault_of(error: Exception) -> ServerError:
    """The innermost cause in a few words: requests nests its errors deeply."""
    if isinstance(error, ServerError):
        return error
    text = str(error)
    if "CERTIFICATE_VERIFY" in text or "CA certificate bundle" in text or "hostname" in text:
        advice = "name its authority's file in REQUESTS_CA_BUNDLE"
        return ServerError(f"the server's certificate is not trusted; {advice}", may_pass=False)
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return ServerError("no connection in time")
    if isinstance(error, requests.exceptions.Timeout) or "timed out" in text:
        return ServerError(SILENT)
    if "NameResolutionError" in text or "getaddrinfo" in text:
        return ServerError(UNKNOWN_HOST)
    if "refused" in text:
        return ServerError("the connection is refused")
    if isinstance(error, requests.exceptions.InvalidURL):
        return ServerError("not an address", may_pass=False)
    passing = (requests.exceptions.ConnectionError, urllib3.exceptions.ProtocolError)
    if isinstance(error, (*passing, urllib3.exceptions.SSLError)):
        return ServerError(f"the transfer broke off ({type(error).__name__})")
    return ServerError(f"no sense in what it answers ({type(error).__name__})", may_pass=False)
