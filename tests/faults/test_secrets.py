"""Commands are driven with secrets in their addresses; nothing that they print or write has one.

Left out is what must keep them to work: params.yaml and experiments.yaml as the user wrote them,
git, which keeps these, and DVC's own files (docs/reliability.md says so).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import runpy
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
import yaml
from conftest import ROOT, TINY
from http_server import Website, closed_port, redirecting, refusing, serving, without_proxies
from repository import Repository, gpt2_metrics

from spam_gpt2.common import download
from spam_gpt2.common.http_request import Patience
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.data import sms_sources
from spam_gpt2.gpt2 import sources as gpt2_sources

USER, PASSWORD, TOKEN = "q7user", "q7pass-of-some-length-that-a-line-is-cut-in", "q7token"
LOGIN = f"{USER}:{PASSWORD}@"
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode())
MARKS = (b"q7user", b"q7pass", b"some-length", b"cut-in", b"q7token", BASIC[:20])
KEPT = {".git", ".dvc", "params.yaml", "experiments.yaml", "dvc.lock", "dvc.yaml"}
SCRIPTS = sorted(path.stem for path in (ROOT / "stages").glob("*.py"))
QUICK = Patience(connect=1, read=1, attempts=2, pause=0.01)
FAR = f"https://{LOGIN}far.invalid/x?sig={TOKEN}"

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def helpers_of(test_file: str) -> ModuleType:
    """Another test's module, for the projects that it makes."""
    path = ROOT / "tests" / test_file
    spec = importlib.util.spec_from_file_location(f"of_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


tracking = helpers_of("tracking/test_mlflow_run.py")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with the project's parameters and no wish to wait for servers."""
    monkeypatch.setattr(download, "Patience", lambda: QUICK)
    monkeypatch.chdir(tmp_path)
    set_params(tmp_path)
    with tracking.environment(MLFLOW_HTTP_REQUEST_MAX_RETRIES="0"), without_proxies():
        yield tmp_path


def set_params(root: Path, **changes: Any) -> None:
    """The shipped parameters with some replaced: `download_data__sources` and the like."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    for key, value in {"download_data__sources": [FAR], **changes}.items():
        section, name = key.split("__")
        params[section][name] = value
    (root / "params.yaml").write_text(yaml.safe_dump(params, width=10_000), encoding="utf-8")


def with_login(address: str) -> str:
    return f"{address.replace('://', f'://{LOGIN}')}?token={TOKEN}"


def run(command: str, *arguments: str) -> int:
    """Run a stage or a module in this process; its exit code."""
    is_stage = command in SCRIPTS
    target = str(ROOT / f"stages/{command}.py") if is_stage else f"spam_gpt2.{command}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [command, *arguments])
        patch.delitem(sys.modules, target, raising=False)
        try:
            if is_stage:
                runpy.run_path(target, run_name="__main__")
            else:
                runpy.run_module(target, run_name="__main__", alter_sys=True)
        except SystemExit as error:
            return error.code or 0
    return 0


def leaks(root: Path, said: str) -> list[str]:
    """Where a secret stands: files below a folder, and the lines that were printed."""
    places = [line for line in said.splitlines() if any(m in line.encode() for m in MARKS)]
    for path in root.rglob("*"):
        inner = path.relative_to(root)
        if path.is_file() and not KEPT & set(inner.parts[:1]):
            content = path.read_bytes()
            places += [
                str(inner) for mark in MARKS if mark in content or mark in str(inner).encode()
            ]
    return places


def said(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> str:
    captured = capfd.readouterr()
    return captured.out + captured.err + caplog.text


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "a").write_text(f"Authorization: Basic {BASIC.decode()}")
    (tmp_path / "b").write_text(FAR)
    (tmp_path / "params.yaml").write_text(FAR)
    assert {"a", "b", FAR} == set(leaks(tmp_path, FAR))


def failing_addresses(server: Website) -> list[str]:
    server.always(refusing(401), on=f"/401?token={TOKEN}")
    server.always(
        redirecting(f"http://{LOGIN}127.0.0.1:1/?token={TOKEN}"), on=f"/302?token={TOKEN}"
    )
    host = urlsplit(server.address).netloc
    return [
        *(with_login(f"{server.address}/{path}") for path in ("404", "401", "302")),
        *(with_login(f"{server.add(path, b'x')}") for path in ("/other", f"/other?token={TOKEN}")),
        with_login(f"{closed_port()}/x"),
        f"http:/{LOGIN}{host}/x",
        f"//{LOGIN}{host}/x",
        f"{LOGIN}{host}/x",
        f"ftp://{LOGIN}{host}/x",
        f"wheel:https://{LOGIN}{host}/x",
        f"http://{LOGIN}[::bad/x",
        f"http://{LOGIN}a..b/x",
        f"http://{LOGIN}{host}:99999/x",
        f"http://{USER}:q7pass/{PASSWORD}@{host}/x",
        f"http://{USER}:it's{PASSWORD}@{host}/x",
    ]


def test_sources_that_fail(project: Path, capfd, caplog) -> None:
    with serving() as server:
        bad = failing_addresses(server)
        set_params(project, download_data__sources=bad)
        assert run("download_data") == 1
        text = said(capfd, caplog)
        assert text.count("skipped: ") == len(bad)
        assert leaks(project, text) == []


@pytest.mark.parametrize("variable", [True, False], ids=["GPT2_MIRROR", "sources"])
def test_weights_that_cannot_be_fetched(
    variable: bool, project: Path, monkeypatch: pytest.MonkeyPatch, capfd, caplog
) -> None:
    with serving() as server:
        bad = failing_addresses(server)
        wanted = ["nowhere"] if variable else bad
        for address in bad if variable else [""]:
            monkeypatch.setenv("GPT2_MIRROR", address)
            set_params(
                project, fetch_gpt2__sources=wanted or ["nowhere"], fetch_gpt2__fallback=None
            )
            assert run("fetch_gpt2") == 1
        text = said(capfd, caplog)
        assert text.count("skipped: ") >= len(bad)
        assert leaks(project, text) == []


def test_sources_that_serve(
    project: Path,
    tiny_checkpoint_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd,
    caplog,
) -> None:
    """The messages, own weights through GPT2_MIRROR, and all that is written from them."""
    monkeypatch.setattr(sms_sources, "SHA256", hashlib.sha256(b"ham\tok\n").hexdigest())
    monkeypatch.setitem(gpt2_sources.SIZES, "124M", TINY)
    with serving() as server:
        server.add(f"/sms?token={TOKEN}", b"ham\tok\n")
        for path in tiny_checkpoint_dir.iterdir():
            server.add(f"/124M/{path.name}", path.read_bytes())
        monkeypatch.setenv("GPT2_MIRROR", server.address.replace("://", f"://{LOGIN}"))
        set_params(
            project,
            download_data__sources=[with_login(f"{server.address}/sms")],
            fetch_gpt2__verify=False,
        )
        for stage in ("download_data", "fetch_gpt2", "fetch_gpt2"):
            assert run(stage) == 0
        assert all(
            e.headers.get("Authorization") == f"Basic {BASIC.decode()}" for e in server.exchanges
        )
    assert json.loads((project / "models/checkpoint.json").read_text())["source"] == server.address
    assert leaks(project, said(capfd, caplog)) == []


@pytest.mark.parametrize(
    "address",
    [
        "closed",
        "401",
        f"postgresql://{LOGIN}127.0.0.1:1/db",
        f"mysql+pymysql://{LOGIN}127.0.0.1:1/db",
        f"nonsense://{LOGIN}host/x?token={TOKEN}",
        f"https:/{LOGIN}host",
        f"http://{LOGIN}[::bad/",
    ],
)
def test_a_store_that_fails(
    address: str, project: Path, monkeypatch: pytest.MonkeyPatch, capfd, caplog
) -> None:
    tracking.write_project(project)
    with serving() as server:
        server.always(refusing(401))
        address = {"closed": with_login(closed_port()), "401": with_login(server.address)}.get(
            address, address
        )
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert run("track") == 0
        assert run("tracking.registry", "serve") == 1
    text = said(capfd, caplog)
    assert "MLflow did not take this run" in text
    assert leaks(project, text) == []


def test_a_run_in_the_local_store(project: Path, capfd, caplog) -> None:
    """Parameters with a secret, and a git remote with one: the database and all artefacts."""
    tracking.write_project(project)
    set_params(project, fetch_gpt2__sources=[FAR])
    repository = Repository(project)
    repository.git("remote", "add", "origin", f"https://{LOGIN}far.invalid/x.git")
    repository.commit()
    assert run("track") == 0
    text = said(capfd, caplog)
    assert "MLflow run" in text
    [sent] = project.glob("mlruns/*/artifacts/params.yaml")
    assert "https://far.invalid/x?sig=***" in sent.read_text()
    assert leaks(project, text) == []


def test_the_pull_requests_report(project: Path, capfd, caplog) -> None:
    repository = Repository(project)
    (project / "params.yaml").unlink()
    base = repository.start(gpt2_metrics([[9, 1], [2, 8]]))
    set_params(project, fetch_gpt2__sources=[FAR, with_login("https://other.invalid")])
    assert run("reporting.pr_report", "--base", base) == 0
    comment = (project / "pr-report/comment.md").read_text()
    assert "https://other.invalid?token=***" in comment
    (project / "params.yaml").write_text(f"sources: [{FAR}, 'unclosed]\n")
    assert run("reporting.pr_report", "--base", base) == 1
    assert leaks(project, said(capfd, caplog)) == []


def test_the_model_card_and_the_report(project: Path, capfd, caplog) -> None:
    set_params(project, fetch_gpt2__sources=[FAR], prepare__path=FAR)
    (project / "metrics").mkdir()
    context = helpers_of("reporting/test_report_page.py").context()
    stage = runpy.run_path(str(ROOT / "stages/report.py"))
    for name in stage["METRICS"]:
        (project / f"metrics/{name}.json").write_text(json.dumps(context[name]))
    assert run("model_card") == 0
    (project / "reports/errors.json").write_text(json.dumps(context["errors"]))
    (project / "reports/probe.md").write_text("probe")
    (project / "reports/experiments.csv").write_text("experiment\n")
    pictures = [f"plots/{name}" for name in (*stage["PICTURES"], "calibrate/prevalence")]
    for name in [*pictures, "reports/experiments"]:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / f"{name}.png").write_bytes(b"a picture")
    assert run("report") == 0
    assert "https://far.invalid/x?sig=***" in (project / "reports/index.html").read_text()
    assert leaks(project, said(capfd, caplog)) == []


WRONG_PARAMS = {
    "no list": f"download_data: {{sources: '{FAR}'}}\n",
    "no list, and long": f"download_data: {{sources: 'https://{USER}:{'x' * 20}{PASSWORD}@far'}}\n",
    "a key": f"? '{FAR}'\n: 1\n",
    "a key twice": f"'{FAR}': 1\n'{FAR}': 2\n",
    "no YAML": f"download_data: [ {FAR}\nprepare: }}{FAR}\n",
    "no YAML in the line": f"download_data: {{sources: ['{FAR}' '{FAR}']}}\n",
    "a tag": f"download_data: !<{FAR}> x\n",
}
COMMANDS = (*SCRIPTS, "common.params", "experiments", "tracking.registry", "reporting.summary")


@pytest.mark.parametrize("content", WRONG_PARAMS.values(), ids=WRONG_PARAMS)
def test_parameters_that_are_refused(content: str, project: Path, capfd, caplog) -> None:
    (project / "params.yaml").write_text(content)
    (project / "experiments.yaml").write_text((ROOT / "experiments.yaml").read_text())
    for command in COMMANDS:
        code = run(command)
        text = said(capfd, caplog)
        assert leaks(project, text) == [], command
        assert (code, text.count("\n")) in {(1, 1), (0, 1)}, (command, text)


@pytest.mark.parametrize("key", ["download_data.sources", FAR])
def test_experiments_that_are_refused(key: str, project: Path, capfd, caplog) -> None:
    group = {"about": "a", "common": {}, "experiments": {"one": {"about": "b", "set": {key: FAR}}}}
    (project / "experiments.yaml").write_text(yaml.safe_dump({"group": group}))
    assert run("experiments") == 1
    assert leaks(project, said(capfd, caplog)) == []


TELLS = """\
stages:
  track:
    cmd: python -c "raise SystemExit('error:' + open('params.yaml').read())"
    params: [download_data]
"""


@pytest.mark.full
def test_the_log_of_an_experiment(project: Path, capfd, caplog) -> None:
    """Whatever DVC and a stage say."""
    repository = Repository(project)
    group = {"set": {"download_data.sources": [FAR, FAR]}, "about": "b"}
    spec = {"group": {"about": "a", "common": {}, "experiments": {"one": group}}}
    (project / "experiments.yaml").write_text(yaml.safe_dump(spec))
    (project / "dvc.yaml").write_text(TELLS)
    subprocess.run(["dvc", "init", "--quiet"], cwd=project, check=True)
    repository.commit()
    assert run("experiments") == 1
    assert "far.invalid" in (project / "reports/experiment_logs/one.log").read_text()
    assert leaks(project, said(capfd, caplog)) == []


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """MLflow's own server with a store and a log in a folder."""
    address = closed_port()
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(urlsplit(address).port)]
    command += ["--backend-store-uri", f"sqlite:///{folder}/store.db", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            for _ in range(600):
                assert process.poll() is None, (folder / "log").read_text()
                with suppress(requests.ConnectionError):
                    if requests.get(f"{address}/health", timeout=10).ok:
                        break
                time.sleep(0.2)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=30)


@pytest.mark.full
@pytest.mark.parametrize("remote", [True, False], ids=["server", "local"])
def test_track_and_register(
    remote: bool,
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    capfd,
    caplog,
) -> None:
    """With a server of MLflow's at an address with user and password, and with the local store."""
    registry = helpers_of("tracking/test_registry.py")
    registry.write_project(project)
    registry.evaluate(project)
    params = yaml.safe_load((project / "params.yaml").read_text())
    set_params(project, prepare__path=params["prepare"]["path"], fetch_gpt2__sources=[FAR])
    repository = Repository(project)
    repository.git("remote", "add", "origin", f"https://{LOGIN}far.invalid/x.git")
    repository.commit()
    store = tmp_path_factory.mktemp("store")
    with mlflow_server(store) as address:
        if remote:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("://", f"://{LOGIN}"))
            monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
        for command in ("track", "tracking.registry", "tracking.registry"):
            assert run(command) == 0
    text = said(capfd, caplog)
    assert "MLflow run" in text
    assert "version 1 is registered" in text
    assert leaks(project, text) == []
    assert leaks(store, "") == []


def test_what_the_function_strips() -> None:
    for text in (FAR, f"'{FAR}'", f'["{FAR}","{FAR}"]', f"a: {FAR}\nb: {FAR}\n", f"<{FAR}>"):
        assert leaks(Path("/nonexistent"), without_secrets(text)) == []
    for text in ("models:/spam-gpt2@champion", "file:///a/b@c/d", "['https://host','a@b']"):
        assert without_secrets(text) == text
