"""The page's server with a tiny classifier, and requests to it without a network."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import TINY
from trained import save_trained

from spam_gpt2.app.guard import guarded
from spam_gpt2.app.service import Service
from spam_gpt2.app.web import create_app
from spam_gpt2.classifier.decision import as_trained
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.gpt2.weights import random_gpt2

HOST = {"host": "127.0.0.1:5002"}
COUNTS = {"test": [[0.1, 0.4, 0.7], [0.6, 0.9]], "holdout": [[0.2, 0.3, 0.5, 0.8], []]}


def make_service(root: Path, threshold: float | None = 0.5, **card: object) -> Service:
    """A service on random weights; corrections go to a file below `root`."""
    save_trained(root, random_gpt2(TINY, seed=1), **card)
    predictor = Predictor.load(root / "models/classifier", root / "models/gpt2")
    decision = as_trained(predictor.card.labels, threshold)
    predictor = replace(predictor, decision=decision)
    counts = COUNTS if threshold is not None else {}
    return Service(predictor, threshold, counts, root / "data/feedback.csv")


def ask(
    service: Service,
    path: str,
    content: Any = None,
    listens: str = "127.0.0.1",
    names: tuple[str, ...] = (),
    **headers: str,
) -> tuple[int, Any, dict[str, str]]:
    """Status, JSON and headers of an answer; GET without content, else POST of JSON or bytes."""
    is_bytes = isinstance(content, bytes)
    body = content if is_bytes else json.dumps(content).encode()
    kind = "application/octet-stream" if is_bytes else "application/json"
    sent_headers = (
        HOST | {"content-type": kind} | {k.replace("_", "-"): v for k, v in headers.items()}
    )
    address, _, query = path.partition("?")
    scope = {
        "type": "http", "http_version": "1.1", "asgi": {"version": "3.0"}, "scheme": "http",
        "method": "GET" if content is None else "POST", "path": address, "root_path": "",
        "raw_path": address.encode(), "query_string": query.encode(), "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 5002),
        "headers": [(k.encode(), v.encode("latin-1")) for k, v in sent_headers.items()],
    }  # fmt: skip
    inputs = [{"type": "http.request", "body": body, "more_body": False}]
    sent: list[dict] = []

    async def receive() -> dict:
        return inputs.pop(0) if inputs else {"type": "http.disconnect"}

    async def send(message: dict) -> None:
        sent.append(message)

    asyncio.run(guarded(create_app(service), listens, names)(scope, receive, send))
    answer = b"".join(message.get("body", b"") for message in sent[1:])
    found = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    is_json = found.get("content-type") == "application/json"
    return sent[0]["status"], json.loads(answer) if is_json else answer, found
