"""What stands before the page: other sites, made-up host names and large bodies are refused."""

from __future__ import annotations

import ipaddress
import json
import logging
from typing import Any
from urllib.parse import urlsplit

from spam_gpt2.common.web import Receive, Refusal, Scope, Send, headers_of, read_body, replaying

LARGEST_BODY = 5_000_000  # bytes: some 50,000 messages
HINT = "`python -m spam_gpt2 --csv` takes any size"
# A page elsewhere can send neither without asking first, and nobody answers that with yes.
CONTENT_TYPES = ("application/json", "application/octet-stream")
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "cache-control": "no-store",
}


def guarded(app: Any, host: str, names: tuple[str, ...] = ()) -> Any:
    """An ASGI application behind the checks, whose answers carry `HEADERS`.

    Args:
        host: the address that it listens at.
        names: under which it is reached, beside its addresses.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        begun = False

        async def sending(message: dict[str, Any]) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                extra = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message = message | {"headers": [*message["headers"], *extra]}
            await send(message)

        try:
            headers = headers_of(scope)
            check_host(headers.get("host", ""), host, names)
            if scope["method"] not in ("GET", "HEAD"):
                check_origin(headers)
                body = await read_body(headers, receive, LARGEST_BODY, HINT)
                receive = replaying(body, receive)
            await app(scope, receive, sending)
        except Refusal as refusal:
            await refuse(refusal, sending)
        except Exception as error:  # the client gets no trace; the terminal gets the kind
            logging.getLogger("uvicorn.error").error("%s in a request", type(error).__name__)
            if not begun:
                await refuse(Refusal(500, "this could not be answered; see the terminal"), sending)

    return answer


def check_host(header: str, host: str, names: tuple[str, ...]) -> None:
    """Refuse names that others may have pointed at this machine (DNS rebinding). Raises: Refusal.

    An address is no name, so no one can point it elsewhere.
    """
    try:
        name = urlsplit(f"//{header}").hostname or ""
    except ValueError:
        name = ""
    if name in {"localhost", host.lower(), *map(str.lower, names)}:
        return
    at, listens_at = _address(name), _address(host)
    is_open = listens_at is None or not listens_at.is_loopback
    if at is None or not (at.is_loopback or is_open):
        raise Refusal(403, "this host name is not allowed; start the page with --name to allow it")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def check_origin(headers: dict[str, str]) -> None:
    """Refuse what another site's page sends. Raises: Refusal."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
    if origin is not None and host_of(origin) != headers.get("host", "").lower():
        raise Refusal(403, "this comes from another site's page; open this page itself")
    if site not in ("same-origin", "none"):
        raise Refusal(403, "this comes from another site's page; open this page itself")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in CONTENT_TYPES:
        raise Refusal(415, f"send {CONTENT_TYPES[0]}, or a file as {CONTENT_TYPES[1]}")


def host_of(origin: str) -> str:
    """Host and port of an origin, or nothing for `null` and what is no address."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def refuse(refusal: Refusal, send: Send) -> None:
    """Answer with the reason."""
    body = json.dumps({"message": refusal.reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    headers.append((b"connection", b"close"))
    start = {"type": "http.response.start", "status": refusal.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": body})
