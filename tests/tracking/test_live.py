"""With `track.live` MLflow has the curves while the training runs; `track` completes that run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from finished import evaluate, write_project
from http_server import closed_port

from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.mlflow_run import log_run

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
START = {"training": "f1", "weights": "tiny", "device": "cpu", "precision": "float32"}


def environment(**values: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_", "SPAM_"))}
    return kept | {"PYTHONPATH": str(ROOT / "src")} | values


class Fed:
    """The process, and lines that it is fed."""

    def __init__(self, root: Path, **values: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-m", "spam_gpt2.tracking.live"],
            cwd=root, env=environment(**values), text=True,
            stdin=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def tell(self, *facts: dict[str, Any]) -> None:
        self.process.stdin.write("".join(json.dumps(fact) + "\n" for fact in facts))
        self.process.stdin.flush()

    def line(self) -> str:
        """Wait for the line that it says first: the store, and its run in it, are there."""
        return self.process.stderr.readline()

    def end(self) -> str:
        """Close its input; what else it said."""
        _, said = self.process.communicate(timeout=300)
        assert self.process.returncode == 0, said
        return said


def step(number: int, loss: float) -> dict[str, Any]:
    return {"column": "step", "row": {"step": number, "train_loss": loss}}


def client(root: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{root}/mlflow.db")


def runs(root: Path) -> list[Any]:
    store = client(root)
    found = store.get_experiment_by_name("spam-gpt2")
    return store.search_runs([found.experiment_id]) if found else []


def losses(root: Path, run_id: str) -> list[tuple[int, float]]:
    history = client(root).get_metric_history(run_id, "curves/train_loss")
    return sorted((metric.step, metric.value) for metric in history)


def until(condition: Callable[[], Any]) -> Any:
    """What a condition gives as soon as it gives something."""
    end = time.monotonic() + 300
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.2)
    pytest.fail("nothing in five minutes")


@contextmanager
def inside(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.chdir(root)
        for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_", "SPAM_"))]:
            patch.delenv(name)
        yield


@pytest.fixture
def project(tmp_path: Path) -> Path:
    write_project(tmp_path)
    return tmp_path


def test_curves_are_there_while_it_trains_and_track_completes_the_run(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate(project)
    rows = [step(1, 0.5), step(2, 0.25)]
    (project / "plots/finetune/loss.csv").write_text("step,train_loss\n1,0.5\n2,0.25\n")
    fed = Fed(project)
    fed.tell(START, rows[0])
    said = fed.line()
    (run,) = until(lambda: [r for r in runs(project) if "curves/train_loss" in r.data.metrics])
    assert run.info.status == "RUNNING"
    assert run.data.params["finetune.trainable"] == "last_block"
    assert said == f"MLflow run {run.info.run_id} shows the curves; `make mlflow`\n"
    fed.tell(rows[1], {"saved": True})
    assert fed.end() == ""
    (run,) = runs(project)
    assert (run.info.status, run.data.tags["tracking"]) == ("FINISHED", "trained")
    params = load_params(project / "params.yaml").model_dump()
    params["baseline"]["ngrams"] = 3  # changed meanwhile, which trains nothing anew
    with inside(project, monkeypatch):
        assert log_run(Path(), params, "spam-gpt2") == run.info.run_id
    (run,) = runs(project)
    assert (run.info.status, run.data.tags["tracking"]) == ("FINISHED", "complete")
    assert "test/accuracy" in run.data.metrics
    assert losses(project, run.info.run_id) == [(1, 0.5), (2, 0.25)]
    with inside(project, monkeypatch):  # the next execution is a run of its own
        assert log_run(Path(), params, "spam-gpt2") != run.info.run_id


def test_a_training_that_continues_does_so_in_its_run_and_another_does_not(project: Path) -> None:
    fed = Fed(project)
    fed.tell(START, step(1, 0.5), step(2, 0.25))
    fed.end()
    (killed,) = runs(project)
    assert killed.info.status == "KILLED"
    fed = Fed(project)
    fed.tell(START, step(1, 0.5), step(2, 0.25), step(3, 0.125))
    until(lambda: runs(project)[0].info.status == "RUNNING")
    fed.process.send_signal(signal.SIGINT)  # Ctrl-C reaches it, too
    fed.end()
    (again,) = runs(project)
    assert again.info.run_id == killed.info.run_id
    assert losses(project, killed.info.run_id) == [(1, 0.5), (2, 0.25), (3, 0.125)]
    other = Fed(project)
    other.tell(START | {"training": "f2"}, step(1, 0.75), {"saved": True})
    other.end()
    assert sorted(run.info.status for run in runs(project)) == ["FINISHED", "KILLED"]


def test_a_training_that_ends_before_it_began_leaves_no_run(project: Path) -> None:
    assert Fed(project).end() == ""
    assert not (project / "mlflow.db").exists()


def test_a_store_that_does_not_answer_is_one_line(project: Path) -> None:
    address = f"http://name:secret@127.0.0.1:{closed_port()}"
    fed = Fed(project, MLFLOW_TRACKING_URI=address, MLFLOW_HTTP_REQUEST_MAX_RETRIES="0")
    fed.tell(START, step(1, 0.5))
    said = fed.end()
    assert said.startswith("WARNING: MLflow does not show this training while it runs (")
    assert said.endswith("); `track` sends it later\n")
    assert said.count("\n") == 1
    assert "secret" not in said
