"""The web server before a registered model: MLflow's own, behind limits of what it is sent."""

from __future__ import annotations

import json
import logging
from typing import Any

from spam_gpt2.common.web import (
    Receive,
    Refusal,
    Scope,
    Send,
    headers_of,
    read_body,
    replaying,
)

LARGEST_BODY = 10_000_000  # bytes: some 50,000 messages
HINT = "send fewer messages each"
DEEPEST = 20  # levels of JSON; MLflow's formats have three


def run_server(model_uri: str, host: str, port: int) -> None:
    """Load a model and answer until a signal. Raises: whatever MLflow raises for the model."""
    import mlflow.pyfunc
    import uvicorn
    from mlflow.pyfunc import scoring_server

    app = scoring_server.init(mlflow.pyfunc.load_model(model_uri))
    uvicorn.run(guarded(app), host=host, port=port, log_level="warning")


def guarded(app: Any) -> Any:
    """An ASGI application that refuses what is too large, too deep or from another site."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        messages: list[dict[str, Any]] = []
        try:
            headers = headers_of(scope)
            check_site(scope["method"], headers)
            body = await read_body(headers, receive, LARGEST_BODY, HINT)
            if nests_too_deep(body):
                raise Refusal(400, f"JSON of more than {DEEPEST} levels")
            await app(scope, replaying(body, receive), collect(messages))
            messages = [without_trace(message, messages) for message in messages]
        except Refusal as refusal:
            messages = refused(refusal)
        except Exception as error:  # the client gets no trace; the terminal gets the kind
            logging.getLogger("uvicorn.error").error("%s in a request", type(error).__name__)
            messages = refused(Refusal(500, "the request could not be answered"))
        for message in messages:
            await send(message)

    return answer


def check_site(method: str, headers: dict[str, str]) -> None:
    """Refuse other sites' pages and made-up host names, by the same rules as MLflow's server."""
    from mlflow.server import security_utils as rules

    hosts = rules.get_allowed_hosts_from_env() or rules.get_default_allowed_hosts()
    if not rules.is_allowed_host_header(hosts, headers.get("host", "")):
        raise Refusal(403, "this host name is not allowed; see MLFLOW_SERVER_ALLOWED_HOSTS")
    origins = rules.get_allowed_origins_from_env()
    if rules.should_block_cors_request(headers.get("origin", ""), method, origins):
        raise Refusal(403, "cross-origin; see MLFLOW_SERVER_CORS_ALLOWED_ORIGINS")


def nests_too_deep(body: bytes) -> bool:
    """Whether JSON has more levels than DEEPEST; what is no JSON is MLflow's to judge."""
    try:
        level = [json.loads(body)]
    except RecursionError:
        return True
    except ValueError:
        return False
    for _ in range(DEEPEST + 1):
        inner = [
            v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)
        ]
        level = [value for values in inner for value in values]
    return bool(level)


def collect(messages: list[dict[str, Any]]) -> Send:
    """Keep an answer until it is known to be whole."""

    async def keep(message: dict[str, Any]) -> None:
        messages.append(message)

    return keep


def without_trace(message: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """An error's answer without its stack trace; all else unchanged."""
    is_error = messages[0].get("status", 200) >= 400
    if not is_error:
        return message
    if message["type"] == "http.response.start":
        headers = [(k, v) for k, v in message["headers"] if k.lower() != b"content-length"]
        return message | {"headers": headers}
    try:
        answer = json.loads(message["body"])
        answer.pop("stack_trace", None)
    except (ValueError, AttributeError, KeyError):
        return message
    return message | {"body": json.dumps(answer).encode()}


def refused(refusal: Refusal) -> list[dict[str, Any]]:
    """The answer that a refusal is, in MLflow's form."""
    body = json.dumps({"error_code": "BAD_REQUEST", "message": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers.append((b"connection", b"close"))
    start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
    return [start, {"type": "http.response.body", "body": body}]
