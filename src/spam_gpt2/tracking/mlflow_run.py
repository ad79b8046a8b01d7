"""One MLflow run for one execution of the pipeline, made from the files that its stages wrote."""

from __future__ import annotations

import csv
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from spam_gpt2.common.commands import git
from spam_gpt2.common.files import InputError, read_json, sha256_of, whole_file
from spam_gpt2.common.nested import flat
from spam_gpt2.common.project import project_dir
from spam_gpt2.common.secrets import without_secrets

if TYPE_CHECKING:
    from mlflow import MlflowClient

# A tracking server that does not answer must not hold up a result: 2 more tries of 10 s each.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it may hold a password
}
SPLIT_PATHS = {
    "train": "data/prepared/train.csv",
    "validation": "data/prepared/validation.csv",
    "test": "data/prepared/test.csv",
}
CLASSIFIER_PATHS = (
    "models/classifier/classifier.json",
    "models/classifier/classifier.safetensors",
)
METRICS = ("gpt2", "baseline", "training")
PLOT_DIRS = ("plots/finetune", "plots/gpt2", "plots/baseline")
# MLflow's comparison of runs shows files side by side, but none that is in a folder.
COMPARED = (
    "plots/gpt2/confusion_test.png",
    "plots/gpt2/roc.png",
    "plots/finetune/accuracy.png",
    "plots/finetune/loss.png",
)
# What changes a result. The rest is in params.yaml, which every run carries whole.
PARAM_SECTIONS = ("prepare", "classifier", "finetune", "baseline")
SAME_RESULT = ("finetune.reuse_frozen", "finetune.log_every", "finetune.checkpoint_every")


def open_store(root: Path, experiment: str) -> tuple[MlflowClient, str]:
    """MLflow's client and the id of the experiment, which is made where it does not exist.

    Args:
        root: the project's folder, or a copy's. The local store is in the project (`mlflow.db`,
            `mlruns/`), unless MLFLOW_TRACKING_URI names another.

    Raises: whatever MLflow raises when the store cannot be reached.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    import mlflow  # takes seconds: only who tracks waits for it

    logging.getLogger("mlflow").setLevel(logging.WARNING)
    store = project_dir(root).absolute()
    remote = os.environ.get("MLFLOW_TRACKING_URI")
    mlflow.set_tracking_uri(remote or sqlite_uri(store / "mlflow.db"))
    if remote:
        return _open_experiment(experiment, None)
    # MLflow makes the database's tables without a lock: of two at once, one fails.
    with FileLock(store / "mlflow.db.lock"):
        make_database(store / "mlflow.db")
        return _open_experiment(experiment, (store / "mlruns").as_uri())


def make_database(path: Path) -> None:
    """Let MLflow make its database, whole or not at all.

    It makes the tables by hundreds of changes that are no transaction. Where it is cut off among
    them, it fails at them for ever after.
    """
    if path.exists():
        return
    import mlflow

    with whole_file(path) as beside_path:
        mlflow.MlflowClient(sqlite_uri(beside_path)).search_experiments(max_results=1)


def sqlite_uri(path: Path) -> str:
    """Address of a database. SQLAlchemy cuts a path at a question mark: then it is relative."""
    name = str(path) if "?" not in str(path) else os.path.relpath(path)
    return f"sqlite:///{name}"


def _open_experiment(experiment: str, location: str | None) -> tuple[MlflowClient, str]:
    import mlflow

    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        return client, client.create_experiment(experiment, location)
    if found.lifecycle_stage == "deleted":
        where = without_secrets(client.tracking_uri)
        raise InputError(
            f"MLflow's experiment {experiment} is deleted; choose another track.experiment, or "
            f"`MLFLOW_TRACKING_URI={where} mlflow experiments restore -x {found.experiment_id}`"
        )
    return client, found.experiment_id


def log_run(root: Path, params: dict[str, Any], experiment: str) -> str:
    """Send parameters, curves, metrics, pictures and digests to MLflow; returns the run's id.

    Args:
        root: the project's folder, as for `open_store`, which also says what this raises.
        params: all of params.yaml, as nested dictionaries.
    """
    client, experiment_id = open_store(root, experiment)
    from mlflow.entities import Metric, Param, RunTag

    gpt2, training = (read_json(root / f"metrics/{name}.json") for name in ("gpt2", "training"))
    now = int(time.time() * 1000)
    metrics = [Metric(key, value, now, step) for key, value, step in metric_points(root)]
    all_tags = tags(root, params, gpt2) | system_tags(root)
    run = client.create_run(experiment_id, run_name=run_name(params, gpt2["weights"]))
    run_id = run.info.run_id
    with failed_when_cut_off(client, run_id):
        client.log_batch(
            run_id,
            metrics=metrics,
            params=[Param(key, value) for key, value in run_params(params, training).items()],
            tags=[RunTag(key, value) for key, value in all_tags.items()],
        )
        log_files(client, run_id, root)
        client.set_terminated(run_id)
    return run_id


@contextmanager
def failed_when_cut_off(client: MlflowClient, run_id: str) -> Iterator[None]:
    """Let no run stay `RUNNING` for ever that an error or Ctrl-C cuts off."""
    try:
        yield
    except BaseException:
        with suppress(Exception):  # the first error is the one that says what is wrong
            client.set_terminated(run_id, "FAILED")
        raise


def log_files(client: MlflowClient, run_id: str, root: Path) -> None:
    """Send plots, metrics and parameters."""
    for file, folder in run_files(root):
        if file == "params.yaml":  # its addresses may hold a password
            text = (root / file).read_text(encoding="utf-8")
            client.log_text(run_id, without_secrets(text), file)
        else:
            client.log_artifact(run_id, str(root / file), folder)


def run_name(params: dict[str, Any], weights: str) -> str:
    """What a person tells runs apart by, e.g. `last_block lr 5e-5 5 epochs last_token gpt2-mini`.

    What is changed most often comes first: MLflow cuts names off in its lists.
    """
    finetune = params["finetune"]
    mantissa, exponent = f"{finetune['learning_rate']:e}".split("e")
    rate = f"{float(mantissa):g}e{int(exponent)}"
    training = f"{finetune['trainable']} lr {rate} {finetune['epochs']} epochs"
    return f"{training} {params['classifier']['position']} {weights}"


def run_params(params: dict[str, Any], training: dict[str, Any]) -> dict[str, str]:
    """The parameters that change a result, by the names that DVC shows, and what was used.

    Args:
        training: metrics/training.json, which knows weights, device and precision.
    """
    sections = {name: params[name] for name in PARAM_SECTIONS}
    values = {key: value for key, value in flat(sections) if key not in SAME_RESULT}
    as_text = {
        k: without_secrets(v if isinstance(v, str) else json.dumps(v)) for k, v in values.items()
    }
    compute = {f"compute.{name}": training[name] for name in ("device", "precision")}
    return {"weights": training["weights"], **compute, **as_text}


def metric_points(root: Path) -> Iterator[tuple[str, float, int]]:
    """Every number worth a metric: name, value and step (0 for final ones).

    MLflow's interface makes a section of what stands before the slash.
    """
    gpt2, baseline, training = (read_json(root / f"metrics/{name}.json") for name in METRICS)
    for split in ("validation", "test", "train"):
        for figure, value in gpt2[split].items():
            yield f"{split}/{figure}", value, 0
    if "accuracy" in gpt2["test_unseen"]:
        yield "test/accuracy_unseen", gpt2["test_unseen"]["accuracy"], 0
    for figure, value in baseline["test"].items():
        yield f"test_baseline/{figure}", value, 0
    for figure, value in training.items():
        if isinstance(value, int | float):  # the weights' name stands there too
            yield f"training/{figure}", value, 0
    for file, step_column in (("loss", "step"), ("accuracy", "epoch")):
        with (root / f"plots/finetune/{file}.csv").open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                step = int(row.pop(step_column))
                for key, value in row.items():
                    yield f"curves/{key}", float(value), step


def run_files(root: Path) -> Iterator[tuple[str, str | None]]:
    """Plots, metrics and params.yaml, each with the run's folder that it goes to (None: the top).

    Hidden files, which DVC leaves in the folders of plots, stay behind.
    """
    for folder in PLOT_DIRS:
        for path in sorted((root / folder).glob("[!.]*")):
            yield f"{folder}/{path.name}", folder
    yield from ((file, None) for file in (*COMPARED, "params.yaml"))
    yield from ((f"metrics/{name}.json", "metrics") for name in METRICS)


def tags(root: Path, params: dict[str, Any], gpt2: dict[str, Any]) -> dict[str, str]:
    """Where the result comes from: weights, digests, git commit, DVC experiment."""
    values = {
        "weights": gpt2["weights"],
        "weights_sha256": gpt2["weights_sha256"],
        "classifier_sha256": classifier_sha256(root),
        "git_commit": _git_commit(root),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    for name, path in {"messages": params["prepare"]["path"], **SPLIT_PATHS}.items():
        if (root / path).is_file():
            values[f"data.{name}.sha256"] = sha256_of(root / path)
    return {key: value for key, value in values.items() if value}


def classifier_sha256(root: Path) -> str:
    """SHA-256 of the card and the tensors, one after the other; empty when one is missing."""
    digest = hashlib.sha256()
    for path in CLASSIFIER_PATHS:
        if not (root / path).is_file():
            return ""
        with (root / path).open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def system_tags(root: Path) -> dict[str, str]:
    """What MLflow's interface shows in places of its own: source, commit and description."""
    values = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "stages/track.py",
        "mlflow.source.git.commit": _git_commit(root),
    }
    if name := os.environ.get("DVC_EXP_NAME"):
        values["mlflow.note.content"] = f"`dvc exp apply {name}` brings this result back."
    return {key: value for key, value in values.items() if value}


def _git_commit(root: Path) -> str:
    try:
        return git(root, "rev-parse", "HEAD").decode().strip()
    except InputError:  # no repository, no commit or no git
        return ""
