"""One MLflow run for one execution of the pipeline, made from the files that its stages wrote."""

from __future__ import annotations

import json
import logging
import os
import shlex
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from spam_gpt2.common.files import InputError, read_json, whole_file
from spam_gpt2.common.nested import flat
from spam_gpt2.common.project import project_dir
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.timings import TIMINGS_PATH, last_execution
from spam_gpt2.tracking.datasets import dataset_inputs
from spam_gpt2.tracking.naming import run_name
from spam_gpt2.tracking.points import STAGES, Point, file_points, result_points, time_points
from spam_gpt2.tracking.provenance import classifier_sha256, system_tags, tags
from spam_gpt2.tracking.run_state import (
    COMPLETE,
    TAG,
    end_orphans,
    find_run,
    find_trained,
    logged_points,
    take_over,
    this_process,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

# A tracking server that does not answer must not hold up a result: 2 more tries of 10 s each.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # it may hold a password
}
METRICS = ("gpt2", "baseline", "training", "data", "tokens")
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
        where = shlex.quote(without_secrets(client.tracking_uri))
        raise InputError(
            f"MLflow's experiment {experiment} is deleted; choose another track.experiment, or "
            f"`MLFLOW_TRACKING_URI={where} mlflow experiments restore -x {found.experiment_id}`"
        )
    return client, found.experiment_id


def log_run(root: Path, params: dict[str, Any], experiment: str) -> str:
    """Send all that is known of this execution so far to MLflow; returns the run's id.

    Start and end are those of the execution: this may be sent much later. A run that showed the
    training while it ran (`track.live`) is completed.

    Args:
        root: the project's folder, as for `open_store`, which also says what this raises.
        params: all of params.yaml, as nested dictionaries.
    """
    client, experiment_id = open_store(root, experiment)
    from mlflow.entities import Param, RunTag

    gpt2, training = (read_json(root / f"metrics/{name}.json") for name in ("gpt2", "training"))
    facts = tags(root, params, gpt2)
    all_tags = facts | system_tags(root, params, gpt2["weights"])
    points = list(result_points(root))
    began, ended = _execution(root)
    end_orphans(client, experiment_id)
    run_id = find_trained(client, experiment_id, classifier_sha256(root))
    if run_id is None:
        name, sender = run_name(root, params), {TAG: this_process()}
        run_id = client.create_run(experiment_id, began, sender, name).info.run_id
    else:
        take_over(client, run_id)
    with failed_when_cut_off(client, run_id):
        client.log_batch(
            run_id,
            metrics=_new_metrics(client, run_id, points, ended),
            params=[Param(key, value) for key, value in run_params(params, training).items()],
            tags=[RunTag(key, value) for key, value in all_tags.items()],
        )
        client.log_inputs(run_id, dataset_inputs(root, facts))
        _log_files(client, run_id, root, run_files(root))
        client.set_tag(run_id, TAG, COMPLETE)
        client.set_terminated(run_id, end_time=ended)
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


def add_to_run(
    root: Path,
    params: dict[str, Any],
    experiment: str,
    names: Sequence[str],
    stages: Sequence[str],
) -> str | None:
    """Add what was found later to the run of this classifier; returns its id, None without one.

    Args:
        root, params: as for `log_run`.
        names: of files in `metrics/`; those that are missing are left out.
        stages: that made them; their seconds, memory and plots are added, too.

    Raises: as `open_store`.
    """
    client, experiment_id = open_store(root, experiment)
    run_id = find_run(client, experiment_id, classifier_sha256(root))
    if run_id is None:
        return None
    points = [point for name in names for point in file_points(root, name)]
    points += time_points(root, stages)
    metrics = _new_metrics(client, run_id, points, int(time.time() * 1000))
    client.log_batch(run_id, metrics=metrics)
    files = [(f"metrics/{name}.json", "metrics") for name in names]
    files += [file for stage in stages for file in _plots(root, f"plots/{stage}")]
    _log_files(client, run_id, root, files)
    return run_id


def _execution(root: Path) -> tuple[int, int]:
    """When the stages behind a result began and ended, as MLflow has times: in milliseconds."""
    ran = last_execution(STAGES, root / TIMINGS_PATH)
    now = datetime.now(UTC)
    times = (min(row.began for row in ran), ran[-1].ended) if ran else (now, now)
    began, ended = (int(when.timestamp() * 1000) for when in times)
    return began, ended


def _new_metrics(client: MlflowClient, run_id: str, points: list[Point], when: int) -> list[Metric]:
    """Points that the run has not, as metrics: what is sent again gives no second point.

    Args:
        when: milliseconds since 1970.
    """
    from mlflow.entities import Metric

    known = client.get_run(run_id).data.metrics
    by_step = {name for name, _, step in points if step and name in known}
    present = logged_points(client, run_id, by_step)
    present |= {(name, value, 0) for name, value in known.items() if name not in by_step}
    return [Metric(name, v, when, s) for name, v, s in points if (name, v, s) not in present]


def _log_files(
    client: MlflowClient, run_id: str, root: Path, files: Iterable[tuple[str, str | None]]
) -> None:
    for file, folder in files:
        if file == "params.yaml":  # its addresses may hold a password
            text = (root / file).read_text(encoding="utf-8")
            client.log_text(run_id, without_secrets(text), file)
        elif (root / file).is_file():
            client.log_artifact(run_id, str(root / file), folder)


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


def run_files(root: Path) -> Iterator[tuple[str, str | None]]:
    """Plots, metrics and params.yaml, each with the folder that it goes to (None: the top)."""
    for folder in PLOT_DIRS:
        yield from _plots(root, folder)
    yield from ((file, None) for file in (*COMPARED, "params.yaml"))
    yield from ((f"metrics/{name}.json", "metrics") for name in METRICS)


def _plots(root: Path, folder: str) -> Iterator[tuple[str, str]]:
    """The files of a folder but for hidden ones, which DVC leaves there."""
    for path in sorted((root / folder).glob("[!.]*")):
        yield f"{folder}/{path.name}", folder
