"""The page's addresses: what each takes and answers."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from spam_gpt2.app.service import Service, read_texts
from spam_gpt2.common.console import say
from spam_gpt2.common.files import InputError
from spam_gpt2.common.text import one_line

BATCH = 200  # messages a request; the page sends more of them, and shows how far it is
FILES = {
    "/": ("page.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/favicon.ico": ("icon.svg", "image/svg+xml"),
}


class Sent(BaseModel):
    """What is sent as JSON: no unknown keys, no guessing at types."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Texts(Sent):
    texts: Annotated[list[str], Field(min_length=1, max_length=BATCH)]


class Text(Sent):
    text: str


class Correction(Text):
    label: str


def create_app(service: Service) -> FastAPI:
    """The application, which nothing protects yet: see `guard.py`."""
    # Its own pages about itself load scripts from elsewhere.
    app = FastAPI(title="spam-gpt2", docs_url=None, redoc_url=None, openapi_url=None)
    for path, (name, media_type) in FILES.items():
        content = files("spam_gpt2.app").joinpath(name).read_bytes()
        app.get(path)(_file(content, media_type))

    @app.get("/health")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/state")
    def state() -> dict[str, Any]:
        return service.state()

    @app.post("/classify")
    def classify(sent: Texts) -> list[dict[str, Any]]:
        return service.classify(sent.texts)

    @app.post("/explain")
    def explain(sent: Text) -> dict[str, Any]:
        return service.explain(sent.text)

    @app.post("/texts")
    async def texts(request: Request, kind: str = ".csv") -> list[str]:
        return await run_in_threadpool(read_texts, await request.body(), kind)

    @app.post("/feedback")
    def feedback(sent: Correction) -> dict[str, str]:
        service.correct(sent.text, sent.label)
        return {"label": sent.label, "path": service.feedback_path.as_posix()}

    app.add_exception_handler(InputError, _input_error)
    app.add_exception_handler(OSError, _os_error)
    app.add_exception_handler(RequestValidationError, _wrong_request)
    app.add_exception_handler(HTTPException, _http_error)
    return app


def _file(content: bytes, media_type: str) -> Any:
    def answer() -> Response:
        return Response(content, media_type=media_type)

    return answer


def _message(status: int, text: str) -> JSONResponse:
    return JSONResponse({"message": one_line(text)}, status)


async def _input_error(request: Request, error: Exception) -> JSONResponse:
    return _message(400, str(error))


async def _os_error(request: Request, error: Exception) -> JSONResponse:
    say(f"{request.url.path}: {error}")
    reason = getattr(error, "strerror", None) or type(error).__name__
    return _message(500, f"this could not be saved: {reason}")


async def _wrong_request(request: Request, error: Exception) -> JSONResponse:
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return _message(400, "this is no JSON")
    place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    return _message(400, f"{place}: {first['msg']}")


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    return _message(error.status_code, f"{request.url.path}: {error.detail}")
