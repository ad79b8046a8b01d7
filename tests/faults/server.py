"""A raw server: each behaviour is the very bytes that it sends, and how it sends them."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from http_server import without_proxies

BODY = b"the file\n" * 500
LENGTH = len(BODY)
Behaviour = Callable[[socket.socket, threading.Event], None]


def sends(*pieces: bytes) -> Behaviour:
    """Send pieces and close."""

    def behave(peer: socket.socket, closing: threading.Event) -> None:
        for piece in pieces:
            peer.sendall(piece)

    return behave


def then_hangs(*pieces: bytes) -> Behaviour:
    """Send pieces, and keep the connection open."""

    def behave(peer: socket.socket, closing: threading.Event) -> None:
        for piece in pieces:
            peer.sendall(piece)
        closing.wait(20)

    return behave


def drips(first: bytes, drop: bytes = b"x") -> Behaviour:
    """Send a byte now and then, for ever."""

    def behave(peer: socket.socket, closing: threading.Event) -> None:
        peer.sendall(first)
        while not closing.wait(0.05):
            peer.sendall(drop)

    return behave


def endless(first: bytes, piece: bytes) -> Behaviour:
    """Send as fast as it goes, for ever."""

    def behave(peer: socket.socket, closing: threading.Event) -> None:
        peer.sendall(first)
        while not closing.is_set():
            peer.sendall(piece)

    return behave


def reply(*headers: str, status: str = "200 OK", body: bytes = b"") -> bytes:
    head = "\r\n".join([f"HTTP/1.1 {status}", *headers, "Connection: close", "", ""])
    return head.encode("latin-1") + body


def redirect(place: str) -> Behaviour:
    return sends(reply("Content-Length: 0", f"Location: {place}", status="302 Found"))


OK = reply(f"Content-Length: {LENGTH}")
CHUNKED = reply("Transfer-Encoding: chunked")
PACKED = gzip.compress(BODY)
STATUSES = (204, 300, 304, 400, 401, 403, 404, 407, 408, 410, 425, 429, 451, 500, 502, 503, 504)

FAULTS: dict[str, Behaviour] = {
    **{f"status {n}": sends(reply("Content-Length: 0", status=f"{n} No")) for n in STATUSES},
    "status 999": sends(reply("Content-Length: 0", status="999 Odd")),
    "status of letters": sends(b"HTTP/1.1 abc OK\r\n\r\n"),
    "no status line": sends(b"hello\r\n\r\n"),
    "closes at once": sends(),
    "half a status line": sends(b"HTTP/1.1 20"),
    "TLS bytes": sends(b"\x16\x03\x01\x02\x00" * 50),
    "never answers": then_hangs(),
    "hangs in the header": then_hangs(b"HTTP/1.1 200 OK\r\nContent-"),
    "hangs after the header": then_hangs(OK),
    "hangs in the body": then_hangs(OK, BODY[:100]),
    "drips the header": drips(b"HTTP/1.1 200 OK\r\nX-A: "),
    "drips the body": drips(reply("Content-Length: 1000000")),
    "drips a chunk's size": drips(CHUNKED, b"0"),
    "drips trailers": drips(CHUNKED + b"0\r\n", b"a: b\r\n"),
    "endless header": endless(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n" * 100),
    "endless header line": endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 10_000),
    "endless body": endless(reply(), b"b" * 100_000),
    "endless chunks": endless(CHUNKED, b"2710\r\n" + b"b" * 10_000 + b"\r\n"),
    "announces a terabyte": then_hangs(reply("Content-Length: 1000000000000")),
    "length of 5,000 digits": sends(reply("Content-Length: " + "9" * 5000, body=b"x")),
    "length ² and little": sends(reply("Content-Length: ²", body=b"x")),
    "length below 0": sends(reply("Content-Length: -5", body=b"x")),
    "two lengths": sends(reply("Content-Length: 3", "Content-Length: 5", body=b"abcde")),
    "breaks off": sends(OK, BODY[:-1]),
    "breaks off in a chunk": sends(CHUNKED, b"100\r\nabc"),
    "no last chunk": sends(CHUNKED, b"3\r\nabc\r\n"),
    "a chunk's size is no number": sends(CHUNKED, b"xyz\r\nabc\r\n0\r\n\r\n"),
    "a chunk below 0": sends(CHUNKED, b"-3\r\nabc\r\n0\r\n\r\n"),
    "compressed unasked": sends(
        reply(f"Content-Length: {len(PACKED)}", "Content-Encoding: gzip", body=PACKED)
    ),
    "says compressed and is not": sends(
        reply(f"Content-Length: {LENGTH}", "Content-Encoding: gzip", body=BODY)
    ),
    "another file": sends(OK, BODY[::-1]),
    "a page for the file": sends(reply(body=b"<html>please log in</html>")),
    "nothing": sends(reply("Content-Length: 0")),
    "a byte more": sends(reply(body=BODY + b"x")),
    "206 unasked": sends(reply("Content-Range: bytes 5-9/10", status="206 Part", body=b"abcde")),
    "206 without its range": sends(reply(status="206 Part", body=b"abcde")),
    "416 unasked": sends(reply("Content-Length: 0", status="416 Range")),
    "redirect to itself": redirect("/again"),
    "redirect to nowhere": redirect(""),
    "redirect to half an IPv6": redirect("http://[::bad/"),
    "redirect to an empty label": redirect("http://a..b/"),
    "redirect to a label too long": redirect(f"http://{'a' * 70}.invalid/"),
    "redirect to a file": redirect("file:///etc/hostname"),
    "redirect to port 99999": redirect("http://127.0.0.1:99999/"),
    "redirect to a closed port": redirect("http://127.0.0.1:1/"),
    "redirect with bytes that are no text": redirect("http://127.0.0.1/\xff\xfe\x01"),
}


@contextmanager
def serving(behaviour: Behaviour, *, peek: bool = False) -> Iterator[str]:
    """The address of a server on 127.0.0.1 that behaves so at every request.

    Args:
        peek: leave the request to the behaviour.
    """
    closing = threading.Event()

    def handle(peer: socket.socket) -> None:
        with peer, suppress(OSError):
            peer.settimeout(20)
            peer.recv(1 << 16, socket.MSG_PEEK if peek else 0)
            behaviour(peer, closing)

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while not closing.is_set():
                peer, _ = listener.accept()
                threading.Thread(target=handle, args=(peer,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener, without_proxies():
        threading.Thread(target=accept, args=(listener,), daemon=True).start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            closing.set()
