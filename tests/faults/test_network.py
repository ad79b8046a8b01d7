"""Whatever a server does, the next source serves, or there is one line, in bounded time."""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from http_server import serving as serving_files

from spam_gpt2.common.download import DownloadError, Patience, Pin, download, source_errors
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.data import sms_sources
from spam_gpt2.data.sms_sources import fetch_sms

_spec = importlib.util.spec_from_file_location("faulty", Path(__file__).with_name("server.py"))
faulty = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(faulty)

PIN = Pin(hashlib.sha256(faulty.BODY).hexdigest())
IMPATIENT = Patience(connect=0.5, read=0.4, attempts=2, pause=0.01, window=0.3, whole=3)
BOUND = 5  # seconds


def test_there_are_enough_behaviours() -> None:
    assert len(faulty.FAULTS) >= 53


@pytest.mark.parametrize("name", faulty.FAULTS)
def test_a_faulty_server_is_one_line_in_bounded_time(name: str, tmp_path: Path) -> None:
    with faulty.serving(faulty.FAULTS[name]) as address:
        began = time.monotonic()
        with pytest.raises(DownloadError) as caught:
            download(f"{address}/file", tmp_path / "file", PIN, patience=IMPATIENT)
        assert time.monotonic() - began < BOUND
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert not (tmp_path / "file").exists()
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 20_000_000


@pytest.mark.full
@pytest.mark.parametrize("name", faulty.FAULTS)
def test_after_a_faulty_source_the_next_one_serves(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sms_sources, "SHA256", PIN.sha256)
    with serving_files() as good, faulty.serving(faulty.FAULTS[name]) as bad:
        sources = [f"{bad}/file", good.add("/file", faulty.BODY)]
        assert fetch_sms(sources, tmp_path / "file", patience=IMPATIENT) == sources[1]
    assert (tmp_path / "file").read_bytes() == faulty.BODY


@pytest.mark.parametrize("error", [ValueError("x"), RecursionError(), MemoryError()])
def test_any_kind_of_error_is_the_sources(error: Exception) -> None:
    with pytest.raises(DownloadError, match=r"^here: cannot be used: "), source_errors("here"):
        raise error


@pytest.mark.parametrize(
    "url", ["http://a..b/x", "http://[::bad/x", "http://:99999/", "~nobody-x/y"]
)
def test_an_address_that_is_none_is_one_line(url: str, tmp_path: Path) -> None:
    with pytest.raises(DownloadError):
        download(url, tmp_path / "file", patience=IMPATIENT)


def test_netrc_and_proxies_are_those_of_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc_path = tmp_path / "netrc"
    netrc_path.write_text("machine far.invalid login user password word\n")
    monkeypatch.setenv("NETRC", str(netrc_path))
    with serving_files() as proxy:
        monkeypatch.setenv("http_proxy", proxy.address)
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        proxy.files["http://far.invalid/file"] = b"found"
        download("http://far.invalid/file", tmp_path / "file", patience=IMPATIENT)
        [exchange] = proxy.exchanges
    assert (tmp_path / "file").read_bytes() == b"found"
    assert exchange.headers["Authorization"] == "Basic dXNlcjp3b3Jk"


def certificate(folder: Path, address: str) -> Path:
    """A certificate that signs itself, for a name of this machine, and its key in one file."""
    path = folder / "server.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=test", "-addext", f"subjectAltName=IP:{address}"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(path)]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(path.read_text() + (folder / "key.pem").read_text())
    return path


@contextmanager
def serving_https(certificate_path: Path) -> Iterator[tuple[str, list[str]]]:
    """An address at which a file is, and a list that gets an entry for each connection."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate_path)
    connections: list[str] = []

    def behave(peer: socket.socket, closing: threading.Event) -> None:
        connections.append("connection")
        with context.wrap_socket(peer, server_side=True) as inner:
            inner.recv(1 << 16)
            inner.sendall(faulty.OK + faulty.BODY)

    with faulty.serving(behave, peek=True) as address:
        yield address.replace("http://", "https://"), connections


NEEDS_OPENSSL = pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl")


@NEEDS_OPENSSL
@pytest.mark.parametrize("fault", ["unknown", "another name", "no such bundle"])
def test_a_certificate_that_is_not_trusted_is_tried_once(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "127.0.0.2" if fault == "another name" else "127.0.0.1")
    bundles = {"another name": str(path), "no such bundle": str(tmp_path / "none.pem")}
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", bundles.get(fault, ""))
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)
    with serving_https(path) as (address, connections):
        with pytest.raises(DownloadError) as caught:
            download(f"{address}/file", tmp_path / "file", PIN, patience=IMPATIENT)
        assert len(connections) <= 1
    assert "certificate is not trusted" in str(caught.value)
    assert "REQUESTS_CA_BUNDLE" in str(caught.value)
    assert "tried" not in str(caught.value)


@NEEDS_OPENSSL
def test_a_certificate_in_the_bundle_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
    with serving_https(path) as (address, connections):
        download(f"{address}/file", tmp_path / "file", PIN, patience=IMPATIENT)
    assert (tmp_path / "file").read_bytes() == faulty.BODY
    assert len(connections) == 1


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:word@host/a: 404", "https://host/a: 404"),
        ("https://user:wo/rd@host/a", "https://host/a"),
        ("https://user:w@rd@host/a", "https://host/a"),
        ("https://token@host/a", "https://host/a"),
        ("https://host/a?sig=abc&b=1", "https://host/a?sig=***&b=1"),
        ("url: /a?b=1&X-Amz-Signature=abc (x)", "url: /a?b=1&X-Amz-Signature=*** (x)"),
        ("https://host:80/a@v1", "https://host:80/a@v1"),
        ("user:word@host/a", "host/a"),
        ("https:/user:word@host/a", "https:/host/a"),
        ("//user:word@host/a", "//host/a"),
        ("'https://user:it's@host/a'", "'https://host/a'"),
        ("['https://host','a@b']", "['https://host','a@b']"),
        ("models:/spam-gpt2@champion", "models:/spam-gpt2@champion"),
        ("file:///a/b@c/d", "file:///a/b@c/d"),
        ("postgresql+psycopg://u:p@h:5/db", "postgresql+psycopg://h:5/db"),
        ("error: line 3: mail me@example.org", "error: line 3: mail me@example.org"),
    ],
)
def test_secrets_are_stripped_from_addresses(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
