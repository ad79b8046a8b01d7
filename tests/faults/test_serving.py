"""What the server before a model refuses, and that it keeps traces to itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from spam_gpt2.tracking.server import LARGEST_BODY, guarded

GOOD = {"host": "127.0.0.1:5001"}


async def echo(scope: dict, receive: Any, send: Any) -> None:
    """Answer 200 with the body; 500 with a trace, or an exception, where the path asks for it."""
    body = (await receive())["body"]
    if scope["path"] == "/raise":
        raise RuntimeError("inner secret")
    status = 400 if scope["path"] == "/trace" else 200
    if status == 400:
        body = json.dumps({"message": "wrong", "stack_trace": "Traceback inner secret"}).encode()
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": body})


def ask(path: str, body: bytes, pieces: int = 1, **headers: str) -> tuple[int, bytes]:
    """Status and body of the guarded echo's answer."""
    size = -(-len(body) // pieces) or 1
    parts = [body[i : i + size] for i in range(0, len(body), size)] or [b""]
    inputs = [
        {"type": "http.request", "body": part, "more_body": i < len(parts) - 1}
        for i, part in enumerate(parts)
    ]
    sent: list[dict] = []

    async def receive() -> dict:
        return inputs.pop(0)

    async def send(message: dict) -> None:
        sent.append(message)

    named = [(k.encode(), v.encode()) for k, v in (GOOD | headers).items()]
    scope = {"type": "http", "method": "POST", "path": path, "headers": named}
    asyncio.run(guarded(echo)(scope, receive, send))
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def test_a_request_passes_unchanged() -> None:
    body = b'{"inputs": ["a", "b"]}'
    assert ask("/invocations", body, pieces=3) == (200, body)
    assert ask("/invocations", b"text\na\n") == (200, b"text\na\n")


@pytest.mark.parametrize("depth", [30, 900, 100_000])
def test_deep_json_is_a_400(depth: int) -> None:
    status, answer = ask("/invocations", b"[" * depth + b"]" * depth)
    assert status == 400
    assert "levels" in json.loads(answer)["message"]


def test_a_body_that_is_too_large_is_a_413_whether_it_says_so_or_not() -> None:
    said = {"content-length": str(LARGEST_BODY + 1)}
    assert ask("/invocations", b"x", **said)[0] == 413
    assert ask("/invocations", b"x" * (LARGEST_BODY + 1), pieces=50)[0] == 413


@pytest.mark.parametrize("path", ["/trace", "/raise"])
def test_an_error_carries_no_trace(path: str) -> None:
    status, answer = ask(path, b"{}")
    assert status >= 400
    assert b"inner secret" not in answer


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://elsewhere.invalid"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "rebound.invalid"}, 403),
    ],
)
def test_another_sites_page_is_refused(headers: dict[str, str], status: int) -> None:
    assert ask("/invocations", b"{}", **headers)[0] == status
