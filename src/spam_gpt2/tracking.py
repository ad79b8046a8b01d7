"""One MLflow run for one execution of the pipeline, made from the files that its stages wrote."""

from __future__ import annotations

import csv
import logging
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spam_gpt2.files import read_json, sha256_of

# A tracking server that does not answer must not hold up a result: 2 more tries of 10 s each.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
DATA_PATHS = {
    "messages": "data/raw/SMSSpamCollection",
    "train": "data/prepared/train.csv",
    "validation": "data/prepared/validation.csv",
    "test": "data/prepared/test.csv",
}
METRICS = ("gpt2", "baseline", "training")
PLOT_DIRS = ("plots/finetune", "plots/gpt2", "plots/baseline")


def log_run(root: Path, params: dict[str, Any], experiment: str) -> str:
    """Send parameters, curves, metrics, pictures and digests to MLflow; returns the run's id.

    Args:
        root: the project's folder. Also where the local store is (`mlflow.db`, `mlruns/`), unless
            MLFLOW_TRACKING_URI names another.
        params: all of params.yaml, as nested dictionaries.

    Raises: whatever MLflow raises when the store cannot be reached.
    """
    for name, value in PATIENCE.items():
        os.environ.setdefault(name, value)
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    import mlflow  # takes seconds: only who tracks waits for it
    from mlflow.entities import Metric, Param, RunTag

    store = Path(os.environ.get("DVC_ROOT", root)).absolute()  # of the project, in `exp run --temp`
    mlflow.set_tracking_uri(os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{store}/mlflow.db")
    client = mlflow.MlflowClient()
    found = client.get_experiment_by_name(experiment)
    if found is None:
        local = not os.environ.get("MLFLOW_TRACKING_URI")
        location = (store / "mlruns").as_uri() if local else None
        experiment_id = client.create_experiment(experiment, artifact_location=location)
    else:
        experiment_id = found.experiment_id
    gpt2 = read_json(root / "metrics/gpt2.json")
    now = int(time.time() * 1000)
    run = client.create_run(experiment_id, run_name=run_name(params, gpt2["weights"]))
    run_id = run.info.run_id
    client.log_batch(
        run_id,
        metrics=[Metric(key, value, now, step) for key, value, step in metric_points(root)],
        params=[Param(key, str(value)) for key, value in flat(params)],
        tags=[RunTag(key, value) for key, value in tags(root, gpt2).items()],
    )
    for folder in PLOT_DIRS:
        client.log_artifacts(run_id, str(root / folder), folder)
    for file in ("params.yaml", *(f"metrics/{name}.json" for name in METRICS)):
        folder = None if Path(file).parent == Path() else str(Path(file).parent)
        client.log_artifact(run_id, str(root / file), folder)
    client.set_terminated(run_id)
    return run_id


def run_name(params: dict[str, Any], weights: str) -> str:
    """What a person tells runs apart by, e.g. `last_block last_token lr 5e-05 gpt2-mini`."""
    finetune = params["finetune"]
    position = params["classifier"]["position"]
    return f"{finetune['trainable']} {position} lr {finetune['learning_rate']:g} {weights}"


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted keys: `finetune.epochs`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def metric_points(root: Path) -> Iterator[tuple[str, float, int]]:
    """Every number worth a metric: name, value and step (0 for final ones)."""
    for name in METRICS:
        for key, value in flat(read_json(root / f"metrics/{name}.json")):
            if isinstance(value, int | float) and not isinstance(value, bool):
                yield f"{name}.{key}", float(value), 0
    for file, step_column in (("loss", "step"), ("accuracy", "epoch")):
        with (root / f"plots/finetune/{file}.csv").open(encoding="utf-8", newline="") as rows:
            for row in csv.DictReader(rows):
                step = int(row.pop(step_column))
                for key, value in row.items():
                    yield f"curve.{key}", float(value), step


def tags(root: Path, gpt2: dict[str, Any]) -> dict[str, str]:
    """Where the run comes from: weights, data digests, git commit, DVC experiment."""
    values = {
        "weights": gpt2["weights"],
        "weights_sha256": gpt2["weights_sha256"],
        "git_commit": _git_commit(root),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    for name, path in DATA_PATHS.items():
        if (root / path).is_file():
            values[f"data.{name}.sha256"] = sha256_of(root / path)
    return {key: value for key, value in values.items() if value}


def _git_commit(root: Path) -> str:
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""
