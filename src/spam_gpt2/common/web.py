"""What our web servers share: the port that they take, and whole bodies of a limited size."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from spam_gpt2.common.files import InputError

HOST = "127.0.0.1"  # whatever a variable says: who opens a port to others says so
BODY_SECONDS = 60
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Refusal(Exception):  # noqa: N818 - an answer to the client, not an error of ours
    """A status, and the reason as the client gets it."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


def check_port(port: int, host: str, other: str) -> None:
    """Refuse a port that cannot be listened on, in one line where the server has a traceback."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((address[0], port, *address[2:]))
    except socket.gaierror as error:
        raise InputError(f"--host {host}: {error.strerror}") from None
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"port {port}: {reason}; choose another, as in `{other}`") from None


def headers_of(scope: Scope) -> dict[str, str]:
    """A request's headers by their names in lower case."""
    return {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}


async def read_body(headers: dict[str, str], receive: Receive, largest: int, hint: str) -> bytes:
    """The whole body, up to `largest` bytes; `hint` says what else to do. Raises: Refusal."""
    too_large = Refusal(413, f"at most {largest:,} bytes a request; {hint}")
    length = headers.get("content-length", "0")
    if length.isascii() and length.isdigit() and (len(length) > 18 or int(length) > largest):
        raise too_large
    body, more = bytearray(), True
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while more:
                message = await receive()
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > largest:
                    raise too_large
    except TimeoutError:
        raise Refusal(408, f"not whole in {BODY_SECONDS} s") from None
    return bytes(body)


def replaying(body: bytes, receive: Receive) -> Receive:
    """Hand on a body that was read already."""
    first = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> dict[str, Any]:
        return first.pop() if first else await receive()

    return replay
