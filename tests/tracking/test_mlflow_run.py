"""MLflow gets everything that a run left; a store that does not answer costs no result."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml
from conftest import ROOT
from http_server import Behaviour, Call, closed_port, serving, silent, without_proxies
from repository import Repository

from spam_gpt2.common.project import CLONED_FROM
from spam_gpt2.tracking.mlflow_run import add_to_run, log_run, open_store
from spam_gpt2.tracking.run_state import this_process

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
FIGURES = {"accuracy": 0.95, "precision": 0.96, "recall": 0.94, "f1": 0.945, "loss": 0.15}
STEPS = range(25, 15025, 25)  # with two curves, more points than MLflow takes at a time
EPOCHS = range(1, 6)
SPLITS = ("train", "validation", "test")
# An execution of half a minute, and an earlier one that it owes nothing.
STAGE_TIMES = (
    "prepare\t1.0\t90\t2026-01-02T03:00:00.000+00:00\t1-1\n",
    "finetune\t20.0\t700\t2026-01-02T03:04:25.000+00:00\t2-2\n",
    "evaluate\t3.5\t600\t2026-01-02T03:04:35.500+00:00\t2-2\n",
)
BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# Whatever these are, the result is the same.
NOT_COMPARED = {"finetune.reuse_frozen", "finetune.log_every", "finetune.checkpoint_every"}

# MLflow's own affair with SQLAlchemy.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")


def write_curve(path: Path, x: str, points: range, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([x, *names])
        writer.writerows([p, *(round((i + 1) / p, 6) for i in range(len(names)))] for p in points)


def evaluation(shift: float) -> dict[str, Any]:
    """Figures of the three splits, all different, and intervals."""
    splits = {
        split: {name: value - shift - i / 100 for name, value in FIGURES.items()}
        for i, split in enumerate(SPLITS)
    }
    unseen = {"messages": 7, "accuracy": 0.8125 - shift, "interval": [0.1, 0.9]}
    return {
        **splits,
        "test_intervals": {name: [0.1, 0.9] for name in FIGURES},
        "test_unseen": unseen,
        "test_new_campaigns": {"messages": 5, "accuracy": 0.75 - shift},
    }


def write_project(root: Path) -> None:
    """What the stages before `track` leave."""
    shutil.copyfile(ROOT / "params.yaml", root / "params.yaml")
    gpt2 = {"weights": "gpt2-mini", "weights_sha256": "ab" * 32, **evaluation(0.0)}
    training = {"weights": "gpt2-mini", "device": "cpu", "precision": "float32"}
    training |= {"trainable_parameters": 1234, "train_loss": 0.02}
    write(root / "metrics/gpt2.json", json.dumps(gpt2))
    write(root / "metrics/baseline.json", json.dumps({"model": "TF-IDF", **evaluation(0.03)}))
    write(root / "metrics/training.json", json.dumps(training))
    counts = {split: {"total": 4, "ham": 3, "spam": 1} for split in SPLITS}
    write(root / "metrics/data.json", json.dumps({"splits": counts, "repeated_texts": 2}))
    write(root / "metrics/tokens.json", json.dumps({"weights": "x", "train": {"tokens": 12}}))
    write(root / "reports/timings.tsv", "".join(STAGE_TIMES))
    plots_dir = root / "plots/finetune"
    for name in ("loss", "accuracy"):
        write(plots_dir / f"{name}.png", name)
    write_curve(plots_dir / "loss.csv", "step", STEPS, ["train_loss", "validation_loss"])
    accuracies = ["train_accuracy", "validation_accuracy"]
    write_curve(plots_dir / "accuracy.csv", "epoch", EPOCHS, accuracies)
    for name in ("gpt2", "baseline"):
        for file in ("confusion_test.png", "roc.csv", "roc.png", ".gitignore"):
            write(root / f"plots/{name}/{file}", f"{name} {file}")
    write(root / "data/raw/SMSSpamCollection", "ham\tok\n")
    for split in SPLITS:
        write(root / f"data/prepared/{split}.csv", f"line,label,text\n1,ham,{split}\n")
    for name in ("classifier.json", "classifier.safetensors"):
        write(root / f"models/classifier/{name}", name)


@contextmanager
def environment(**values: str) -> Iterator[None]:
    """Nothing of MLflow's and DVC's in the environment but the given; what is set here goes."""
    with patch.dict(os.environ):
        for name in [n for n in os.environ if n.startswith(("MLFLOW_", "DVC_", "GIT_", "SPAM_"))]:
            del os.environ[name]
        os.environ |= values
        yield


def client(root: Path) -> Any:
    """MLflow's own way to what the store of a project holds."""
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{root}/mlflow.db")


@dataclass
class Tracked:
    """A project with a run in its own store."""

    root: Path
    commit: str
    run_id: str

    @property
    def run(self) -> Any:
        return client(self.root).get_run(self.run_id)


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Tracked:
    """One run, by `dvc exp run` as far as its environment tells. Making a store takes seconds."""
    root = tmp_path_factory.mktemp("tracked")
    write_project(root)
    head = Repository(root).commit()
    with environment(DVC_EXP_NAME="brave-otter"):
        return Tracked(root, head, log_run(root, PARAMS, "sms"))


def test_a_run_is_finished_and_in_its_experiment(tracked: Tracked) -> None:
    run = tracked.run
    assert run.info.status == "FINISHED"
    (experiment,) = [e for e in client(tracked.root).search_experiments() if e.name == "sms"]
    assert run.info.experiment_id == experiment.experiment_id
    assert run.info.run_name == "brave-otter"


def value_of(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def test_every_parameter_that_changes_a_result_can_be_compared(tracked: Tracked) -> None:
    logged = {name: value_of(text) for name, text in tracked.run.data.params.items()}
    assert logged.pop("weights") == "gpt2-mini"
    assert (logged.pop("compute.device"), logged.pop("compute.precision")) == ("cpu", "float32")
    assert logged == {
        f"{section}.{name}": value
        for section in ("prepare", "classifier", "finetune", "baseline")
        for name, value in PARAMS[section].items()
        if f"{section}.{name}" not in NOT_COMPARED
    }


@pytest.mark.parametrize(
    ("file", "x", "names"),
    [
        ("loss", "step", ["train_loss", "validation_loss"]),
        ("accuracy", "epoch", ["train_accuracy", "validation_accuracy"]),
    ],
)
def test_curves_have_their_points_by_step(
    tracked: Tracked, file: str, x: str, names: list[str]
) -> None:
    with (tracked.root / f"plots/finetune/{file}.csv").open() as rows:
        table = list(csv.DictReader(rows))
    assert len(table) in (len(STEPS), len(EPOCHS))
    for name in names:
        history = client(tracked.root).get_metric_history(tracked.run_id, f"curves/{name}")
        points = {point.step: point.value for point in history}
        assert points == {int(row[x]): float(row[name]) for row in table}


def test_metrics_are_those_of_the_files(tracked: Tracked) -> None:
    logged = tracked.run.data.metrics
    gpt2, baseline, training = (
        json.loads((tracked.root / f"metrics/{name}.json").read_text())
        for name in ("gpt2", "baseline", "training")
    )
    expected = {}
    for suffix, metrics in (("", gpt2), ("_baseline", baseline)):
        for split in SPLITS:
            named = {f"{split}{suffix}/{figure}": v for figure, v in metrics[split].items()}
            expected |= named
        for figure in FIGURES:
            expected |= {f"test{suffix}/{figure}.low": 0.1, f"test{suffix}/{figure}.high": 0.9}
        unseen = metrics["test_unseen"]
        expected[f"test{suffix}/accuracy_unseen"] = unseen["accuracy"]
        expected[f"test{suffix}/messages_unseen"] = 7
        expected[f"test{suffix}/accuracy_new_campaigns"] = metrics["test_new_campaigns"]["accuracy"]
        expected[f"test{suffix}/messages_new_campaigns"] = 5
    for figure in ("trainable_parameters", "train_loss"):
        expected[f"training/{figure}"] = training[figure]
    for split in SPLITS:
        counts = {"total": 4, "ham": 3, "spam": 1}
        expected |= {f"data/splits.{split}.{name}": n for name, n in counts.items()}
    expected |= {"data/repeated_texts": 2, "tokens/train.tokens": 12}
    expected |= {"seconds/finetune": 20, "seconds/evaluate": 3.5}
    expected |= {"peak_memory_mb/finetune": 700, "peak_memory_mb/evaluate": 600}
    assert {name: v for name, v in logged.items() if not name.startswith("curves/")} == expected


def test_start_and_end_are_those_of_the_execution(tracked: Tracked) -> None:
    info = tracked.run.info
    assert info.start_time == BEGAN.timestamp() * 1000
    assert info.end_time == (BEGAN + timedelta(seconds=30.5)).timestamp() * 1000


def test_data_sets_are_the_runs_inputs(tracked: Tracked) -> None:
    inputs = {i.dataset.name: i for i in tracked.run.inputs.dataset_inputs}
    assert set(inputs) == set(SPLITS)
    for split, each in inputs.items():
        path = tracked.root / f"data/prepared/{split}.csv"
        assert digest(path).startswith(each.dataset.digest)
        assert len(each.dataset.digest) == 12
        assert json.loads(each.dataset.source)["uri"] == path.as_uri()
        assert json.loads(each.dataset.profile) == {"total": 4, "ham": 3, "spam": 1}
        columns = json.loads(each.dataset.schema)["mlflow_colspec"]
        assert [column["name"] for column in columns] == ["line", "label", "text"]
        assert [tag.value for tag in each.tags] == [split]


def add_analyses(root: Path) -> str | None:
    """What is found after `track`, added to the run."""
    write(root / "metrics/holdout.json", json.dumps({"ham": {"false_positive_rate": 0.03}}))
    threshold = {"threshold": {"value": 0.9}, "calibration": {"test": {"ece": 0.02}}}
    write(root / "metrics/calibration.json", json.dumps(threshold))
    robust = {"gpt2": {"upper_case": {"accuracy": 0.7}}}
    write(root / "metrics/robustness.json", json.dumps(robust))
    sizes = {"gpt2": {"32": {"mean": 0.8}, "64": {"mean": 0.9}}}
    write(root / "metrics/learning_curve.json", json.dumps(sizes))
    write(root / "plots/calibrate/reliability.png", "a picture")
    names = ["holdout", "calibration", "robustness", "learning_curve"]
    return add_to_run(root, PARAMS, "sms", names, ["calibrate"])


def test_what_is_found_later_is_added_to_the_run_once(tmp_path: Path) -> None:
    write_project(tmp_path)
    with environment(GIT_CEILING_DIRECTORIES=str(tmp_path.parent)):
        assert add_analyses(tmp_path) is None  # a store without this classifier
        run_id = log_run(tmp_path, PARAMS, "sms")
        before = client(tmp_path).get_run(run_id)
        with (tmp_path / "reports/timings.tsv").open("a") as file:
            file.write("calibrate\t2.5\t300\t2026-01-02T04:00:00.000+00:00\t3-3\n")
        assert add_analyses(tmp_path) == add_analyses(tmp_path) == run_id
    run = client(tmp_path).get_run(run_id)
    expected = {
        "holdout/ham.false_positive_rate": 0.03,
        "calibration/threshold.value": 0.9,
        "calibration/calibration.test.ece": 0.02,
        "robustness/gpt2.upper_case.accuracy": 0.7,
        "learning_curve/gpt2.mean": 0.9,
        "seconds/calibrate": 2.5,
        "peak_memory_mb/calibrate": 300,
    }
    assert run.data.metrics == before.data.metrics | expected
    assert (run.info.status, run.info.end_time) == ("FINISHED", before.info.end_time)
    history = client(tmp_path).get_metric_history(run_id, "learning_curve/gpt2.mean")
    assert [(point.step, point.value) for point in history] == [(32, 0.8), (64, 0.9)]
    uploaded = files_in(Path(run.info.artifact_uri.removeprefix("file://")))
    assert {"metrics/holdout.json", "plots/calibrate/reliability.png"} <= set(uploaded)


def test_a_run_that_its_sender_left_is_ended_by_the_next(tmp_path: Path) -> None:
    """One whose process is gone; that of a process that is there goes on."""
    write_project(tmp_path)
    with environment(GIT_CEILING_DIRECTORIES=str(tmp_path.parent)):
        mlflow, experiment_id = open_store(tmp_path, "sms")
        gone = f"{socket.gethostname()} {os.getpid()} 1"  # its number is used again
        senders = {gone: "KILLED", this_process(): "RUNNING", "elsewhere 1 1": "RUNNING"}
        runs = {
            mlflow.create_run(experiment_id, tags={"tracking": sender}).info.run_id: status
            for sender, status in senders.items()
        }
        done = log_run(tmp_path, PARAMS, "sms")
    assert {run: mlflow.get_run(run).info.status for run in runs} == runs
    assert mlflow.get_run(done).data.tags["tracking"] == "complete"


def files_in(root: Path) -> dict[str, bytes]:
    """All files below a folder, by their path in it."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_pictures_tables_and_parameters_lie_beside_the_run(tracked: Tracked) -> None:
    uploaded = files_in(Path(tracked.run.info.artifact_uri.removeprefix("file://")))
    made = files_in(tracked.root)
    in_folders = {
        name: content
        for name, content in made.items()
        if name.startswith(("metrics/", "plots/")) and not name.endswith(".gitignore")
    }
    at_the_top = {  # MLflow shows no others of several runs side by side
        "params.yaml": made["params.yaml"],
        "confusion_test.png": made["plots/gpt2/confusion_test.png"],
        "roc.png": made["plots/gpt2/roc.png"],
        "loss.png": made["plots/finetune/loss.png"],
        "accuracy.png": made["plots/finetune/accuracy.png"],
    }
    assert uploaded == in_folders | at_the_top


def digest(*paths: Path) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()


def test_tags_say_where_the_result_comes_from(tracked: Tracked) -> None:
    root, tags = tracked.root, tracked.run.data.tags
    assert tags["weights"] == "gpt2-mini"
    assert tags["weights_sha256"] == "ab" * 32
    assert tags["git_commit"] == tags["mlflow.source.git.commit"] == tracked.commit
    assert tags["dvc_experiment"] == "brave-otter"
    assert "brave-otter" in tags["mlflow.note.content"]
    assert tags["data.messages.sha256"] == digest(root / "data/raw/SMSSpamCollection")
    for split in SPLITS:
        assert tags[f"data.{split}.sha256"] == digest(root / f"data/prepared/{split}.csv")
    files = [root / f"models/classifier/classifier.{end}" for end in ("json", "safetensors")]
    assert tags["classifier_sha256"] == digest(*files)


def test_another_run_joins_the_experiment_and_knows_no_more_than_is_true(
    tracked: Tracked, tmp_path: Path
) -> None:
    """Another project, without git, DVC's experiments and data, whose store is named for it."""
    write_project(tmp_path)
    shutil.rmtree(tmp_path / "data")
    with environment(
        MLFLOW_TRACKING_URI=f"sqlite:///{tracked.root}/mlflow.db",
        GIT_CEILING_DIRECTORIES=str(tmp_path.parent),
    ):
        run_id = log_run(tmp_path, PARAMS, "sms")
    first, second = tracked.run, client(tracked.root).get_run(run_id)
    assert second.info.experiment_id == first.info.experiment_id
    assert run_id != tracked.run_id
    missing = ("git_commit", "mlflow.source.git.commit", "dvc_experiment")
    assert not [name for name in second.data.tags if name in missing or name.startswith("data.")]
    assert "dvc exp apply" not in second.data.tags["mlflow.note.content"]
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("cut_off", [KeyboardInterrupt, OSError])
def test_a_run_that_is_cut_off_is_failed_and_does_not_run_for_ever(
    tracked: Tracked, tmp_path: Path, cut_off: type[BaseException]
) -> None:
    import mlflow

    write_project(tmp_path)
    sqlite = f"sqlite:///{tracked.root}/mlflow.db"
    with (
        environment(MLFLOW_TRACKING_URI=sqlite),
        patch.object(mlflow.MlflowClient, "log_artifact", side_effect=cut_off),
        pytest.raises(cut_off),
    ):
        log_run(tmp_path, PARAMS, cut_off.__name__)
    (experiment,) = [
        e for e in client(tracked.root).search_experiments() if e.name == cut_off.__name__
    ]
    (run,) = client(tracked.root).search_runs([experiment.experiment_id])
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("of_a_clone", [False, True])
def test_a_copy_of_the_project_tracks_where_the_project_does(
    tracked: Tracked, tmp_path: Path, of_a_clone: bool
) -> None:
    """`dvc exp run --temp` works in a copy that it throws away, and says of what."""
    write_project(tmp_path)
    root = str(tracked.root)
    roots = {"DVC_ROOT": "/a/clone", CLONED_FROM: root} if of_a_clone else {"DVC_ROOT": root}
    with environment(**roots):
        run_id = log_run(tmp_path, PARAMS, "sms")
    run = client(tracked.root).get_run(run_id)
    assert Path(run.info.artifact_uri.removeprefix("file://")).is_relative_to(tracked.root)
    assert not (tmp_path / "mlflow.db").exists()


def track(root: Path, **values: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the stage in a project; also the seconds that it took."""
    began = time.monotonic()
    with environment(**values):
        done = subprocess.run(
            [sys.executable, ROOT / "stages/track.py"],
            cwd=root, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    return done, time.monotonic() - began


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the stage told a person, but for the seconds that every stage tells."""
    assert (done.returncode, done.stdout) == (0, "")
    return [line for line in done.stderr.splitlines() if not line.startswith("track took ")]


def left(root: Path) -> str:
    """What the stage leaves behind of what became of the run."""
    return (root / "reports/tracked.txt").read_text(encoding="utf-8")


def assert_warned(done: subprocess.CompletedProcess[str], root: Path) -> None:
    """The stage has not failed, and one line says what happened and what to do."""
    assert left(root) == "not sent to MLflow, which did not take it\n"
    (line,) = said(done)
    assert line.startswith("WARNING: MLflow did not take this run (")
    assert line.endswith("To send it later: `dvc repro --single-item --force track`")


def results(root: Path) -> dict[str, bytes]:
    """All that stages before this one made."""
    return {k: v for k, v in files_in(root).items() if not k.startswith(("reports/", "mlruns/"))}


def experiment(call: Call) -> None:
    """Say that the experiment exists."""
    content = json.dumps({"experiment": {"experiment_id": "1", "name": "spam-gpt2"}}).encode()
    call.head(200, len(content), Content_Type="application/json")
    call.body(content)


QUICK = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "1", "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0"}


def test_a_server_that_is_not_there_costs_no_result(tmp_path: Path) -> None:
    write_project(tmp_path)
    before = results(tmp_path)
    with without_proxies():
        done, seconds = track(tmp_path, MLFLOW_TRACKING_URI=closed_port())
    assert_warned(done, tmp_path)
    assert seconds < 45  # three tries of 10 s, and the time to start
    assert results(tmp_path) == before


@pytest.mark.parametrize(
    ("behaviour", "requests"), [(silent, 3), (experiment, 1)], ids=["stalls", "breaks down"]
)
def test_a_server_that_fails_costs_no_result(
    tmp_path: Path, behaviour: Behaviour, requests: int
) -> None:
    """One never answers; the other does once, and then has no answer to the request for a run."""
    write_project(tmp_path)
    before = results(tmp_path)
    with serving() as website:
        website.always(behaviour)
        done, seconds = track(tmp_path, MLFLOW_TRACKING_URI=website.address, **QUICK)
        assert len(website.exchanges) == requests
    assert_warned(done, tmp_path)
    assert seconds < 40  # most of it to start, where much else runs
    assert results(tmp_path) == before


def test_a_store_that_cannot_be_opened_costs_no_result(tmp_path: Path) -> None:
    write_project(tmp_path)
    write(tmp_path / "mlflow.db", "no database")
    before = results(tmp_path)
    done, _ = track(tmp_path)
    assert_warned(done, tmp_path)
    assert results(tmp_path) == before | {"mlflow.db.lock": b""}  # of who opens it at once


def test_nothing_is_sent_when_tracking_is_off(tmp_path: Path) -> None:
    write_project(tmp_path)
    text = (tmp_path / "params.yaml").read_text(encoding="utf-8")
    assert "  enabled: true " in text
    write(tmp_path / "params.yaml", text.replace("  enabled: true ", "  enabled: false "))
    before = results(tmp_path)
    with serving() as website:
        done, _ = track(tmp_path, MLFLOW_TRACKING_URI=website.address, **QUICK)
        assert website.exchanges == []
    assert said(done) == ["track.enabled is false: nothing is sent to MLflow"]
    assert left(tmp_path) == "not sent to MLflow: track.enabled is false\n"
    assert results(tmp_path) == before
