"""Other sites, made-up host names and what is too large are refused, with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from app_requests import ask, make_service

from spam_gpt2.app.guard import LARGEST_BODY
from spam_gpt2.app.service import Service

MESSAGE = {"texts": ["hello"]}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return make_service(tmp_path_factory.mktemp("guard"))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://127.0.0.1:5002", "sec_fetch_site": "same-origin"}, 200),
        ({"origin": "https://elsewhere.invalid"}, 403),
        ({"origin": "http://127.0.0.1:3000"}, 403),  # another server of this machine
        ({"origin": "http://localhost:5002"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://[half"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"content_type": "text/plain"}, 415),  # what another site's form could send
        ({"content_type": "application/x-www-form-urlencoded"}, 415),
        ({"content_type": "multipart/form-data; boundary=a"}, 415),
    ],
)
def test_what_another_sites_page_could_send_is_refused(
    service: Service, headers: dict[str, str], status: int
) -> None:
    found, answer, _ = ask(service, "/classify", MESSAGE, **headers)
    assert found == status
    assert status == 200 or answer["message"]


@pytest.mark.parametrize(
    ("host", "header", "names", "status"),
    [
        ("127.0.0.1", "127.0.0.1:5002", (), 200),
        ("127.0.0.1", "localhost:5002", (), 200),
        ("127.0.0.1", "LOCALHOST", (), 200),
        ("127.0.0.1", "[::1]:5002", (), 200),
        ("127.0.0.1", "rebound.invalid:5002", (), 403),
        ("127.0.0.1", "127.0.0.1.rebound.invalid", (), 403),
        ("127.0.0.1", "localhost.rebound.invalid", (), 403),
        ("127.0.0.1", "10.0.0.7:5002", (), 403),
        ("127.0.0.1", "", (), 403),
        ("127.0.0.1", "[half", (), 403),
        ("0.0.0.0", "10.0.0.7:5002", (), 200),
        ("0.0.0.0", "rebound.invalid", (), 403),
        ("0.0.0.0", "spam.example.org", ("spam.example.org",), 200),
        ("spam.example.org", "spam.example.org:80", (), 200),
        ("spam.example.org", "127.0.0.1:5002", (), 200),
    ],
)
def test_a_name_that_others_may_point_here_is_refused(
    service: Service, host: str, header: str, names: tuple[str, ...], status: int
) -> None:
    for content in (None, MESSAGE):
        path = "/classify" if content else "/state"
        origin = {"origin": f"http://{header.lower()}"} if header else {}
        found, _, _ = ask(service, path, content, host, names, **{"host": header} | origin)
        assert found == status


def test_a_body_that_is_too_large_is_refused_whether_it_says_so_or_not(service: Service) -> None:
    said = {"content_length": str(LARGEST_BODY + 1)}
    assert ask(service, "/texts", b"x", **said)[0] == 413
    status, answer, _ = ask(service, "/texts", b"x" * (LARGEST_BODY + 1))
    assert status == 413
    assert "--csv" in answer["message"]


def test_every_answer_carries_the_policy(service: Service) -> None:
    for path, content in (("/", None), ("/nowhere", None), ("/classify", {}), ("/state", None)):
        _, _, headers = ask(service, path, content)
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in headers


def test_what_fails_within_is_answered_without_a_trace(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Service) -> None:
        raise RuntimeError("inner secret")

    monkeypatch.setattr(Service, "state", broken)
    status, answer, _ = ask(service, "/state")
    assert status == 500
    assert "secret" not in str(answer)


def test_no_page_of_the_frameworks_own_is_served(service: Service, tmp_path: Path) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/../pyproject.toml", "/page.py"):
        assert ask(service, path)[0] == 404
