"""A real web server on 127.0.0.1 that serves bytes honestly, or fails as real servers do."""

from __future__ import annotations

import gzip
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import patch


@dataclass
class Exchange:
    """One request, and what was sent for it."""

    path: str
    start: int | None  # first byte of the range that was asked for
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 0
    sent: int = 0  # bytes of the body


class Call(BaseHTTPRequestHandler):
    """One request while it is answered; a behaviour says how."""

    protocol_version = "HTTP/1.1"
    website: Website  # set on a class of each server's own

    def do_GET(self) -> None:
        start = self.headers.get("Range", "").removeprefix("bytes=").removesuffix("-")
        self.exchange = Exchange(self.path, int(start) if start else None, dict(self.headers))
        self.website.exchanges.append(self.exchange)
        self.close_connection = True
        with suppress(OSError):  # the client has left
            self.website.behaviour(self.path)(self)

    def content(self) -> bytes | None:
        """What lies at the path."""
        return self.website.files.get(self.path)

    def head(self, status: int, length: int | None, **headers: str) -> None:
        """Send status and headers; Content_Range becomes Content-Range."""
        self.exchange.status = status
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Connection", "close")
        self.end_headers()

    def body(self, content: bytes) -> None:
        """Send bytes; they are counted first, as the client may be done before this thread is."""
        self.exchange.sent += len(content)
        self.wfile.write(content)

    def answer(self, most: int | None = None) -> None:
        """Answer by the book, but break off after `most` bytes of the body."""
        content, start = self.content(), self.exchange.start
        if content is None:
            self.head(404, 0)
        elif start is None:
            self.head(200, len(content))
            self.body(content[:most])
        elif start >= len(content):
            self.head(416, 0, Content_Range=f"bytes */{len(content)}")
        else:
            rest = content[start:]
            whole = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.head(206, len(rest), Content_Range=whole)
            self.body(rest[:most])

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


Behaviour = Callable[[Call], None]


class Website:
    """What a server holds, what it was asked for, and which faults are to come."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.files: dict[str, bytes] = {}
        self.exchanges: list[Exchange] = []
        self.closing = threading.Event()
        self._faults: list[tuple[str, Behaviour, bool]] = []

    def add(self, path: str, content: bytes) -> str:
        """Serve bytes at a path; returns the address."""
        self.files[path] = content
        return self.address + path

    def once(self, *behaviours: Behaviour, on: str = "") -> None:
        """Faults of the next requests for paths that end so, one each; then honest again."""
        self._faults += [(on, behaviour, True) for behaviour in behaviours]

    def always(self, behaviour: Behaviour, on: str = "") -> None:
        """A fault of every request for paths that end so."""
        self._faults.append((on, behaviour, False))

    def recover(self) -> None:
        """Forget faults to come and requests so far."""
        self._faults.clear()
        self.exchanges.clear()

    def behaviour(self, path: str) -> Behaviour:
        """How to answer a request."""
        for fault in self._faults:
            on, behaviour, is_once = fault
            if path.endswith(on):
                if is_once:
                    self._faults.remove(fault)
                return behaviour
        return Call.answer

    @property
    def sent(self) -> int:
        """Bytes of all bodies."""
        return sum(exchange.sent for exchange in self.exchanges)


def breaking_off(after: int) -> Behaviour:
    """Close the connection after that many bytes of the body; the header promised all."""
    return lambda call: call.answer(most=after)


def stalling(after: int) -> Behaviour:
    """Send nothing more after that many bytes of the body, and keep the connection open."""

    def stall(call: Call) -> None:
        call.answer(most=after)
        call.website.closing.wait(30)

    return stall


def silent(call: Call) -> None:
    """Accept the connection and never answer."""
    call.website.closing.wait(30)


def refusing(status: int) -> Behaviour:
    """Answer with a status and no body."""
    return lambda call: call.head(status, 0)


def redirecting(path: str) -> Behaviour:
    """Send the client to another path."""
    return lambda call: call.head(302, 0, Location=path)


def ignoring_ranges(call: Call) -> None:
    """Send the whole file whatever was asked for, as simple servers do."""
    content = call.content()
    call.head(200, len(content))
    call.body(content)


def without_length(after: int | None = None) -> Behaviour:
    """Send the whole file, or its beginning, and never say how long it is."""

    def answer(call: Call) -> None:
        call.head(200, None)
        call.body(call.content()[:after])

    return answer


def compressing(call: Call) -> None:
    """Send the whole file compressed when the client allows that, as many servers do with text."""
    content = call.content()
    if "gzip" in call.exchange.headers.get("Accept-Encoding", ""):
        content = gzip.compress(content)
        call.head(200, len(content), Content_Encoding="gzip")
    else:
        call.head(200, len(content))
    call.body(content)


def sending_another_range(call: Call) -> None:
    """Answer a range with one that starts a byte late, and say so."""
    content, start = call.content(), (call.exchange.start or 0) + 1
    where = f"bytes {start}-{len(content) - 1}/{len(content)}"
    call.head(206, len(content) - start, Content_Range=where)
    call.body(content[start:])


def sending_more(call: Call) -> None:
    """Answer a range with more bytes than Content-Range says that there are."""
    content, start = call.content(), call.exchange.start or 0
    rest = content[start:] + b"more"
    where = f"bytes {start}-{len(content) - 1}/{len(content)}"
    call.head(206, len(rest), Content_Range=where)
    call.body(rest)


@contextmanager
def serving() -> Iterator[Website]:
    """A running server; no proxy stands before it, whatever the environment says."""
    handler = type("Handler", (Call,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    website = handler.website = Website(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with without_proxies():
            yield website
    finally:
        website.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def without_proxies() -> Iterator[None]:
    """No proxy in the environment."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            del os.environ[name]
        yield


def closed_port() -> str:
    """An address on this machine that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"
