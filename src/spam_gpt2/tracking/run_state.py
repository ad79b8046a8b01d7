"""Runs in MLflow's store: that of a classifier is found, those that nobody will end are ended.

The tag `tracking` of a run says which process sends it, and then that it is complete. With
`track.live` the tag `training` has the fingerprint of what is trained.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

from spam_gpt2.common.orphans import began, is_alive
from spam_gpt2.tracking.points import Point

if TYPE_CHECKING:
    from mlflow import MlflowClient

TAG = "tracking"
COMPLETE = "complete"
TRAINED = "trained"  # its curves are there, and `track` adds the rest


def this_process() -> str:
    """This process: the machine, its number and, where /proc tells, when it began."""
    return f"{socket.gethostname()} {os.getpid()} {began(os.getpid())}"


def is_gone(process: str) -> bool:
    """Whether a process that `this_process` named was of this machine and is no more."""
    words = process.split(" ")
    if len(words) != 3 or words[0] != socket.gethostname() or not words[1].isdigit():
        return False
    return not is_alive(int(words[1]), words[2])


def find_run(client: MlflowClient, experiment_id: str, digest: str) -> str | None:
    """Id of the newest run of a classifier that came to its end.

    Args:
        digest: as `classifier_sha256` gives it; empty is that of no run.
    """
    wanted = f"tags.classifier_sha256 = '{digest}' and attributes.status = 'FINISHED'"
    return _newest(client, experiment_id, wanted) if digest else None


def find_trained(client: MlflowClient, experiment_id: str, digest: str) -> str | None:
    """Id of the run that showed how a classifier was trained, and has none of its results yet."""
    wanted = f"tags.classifier_sha256 = '{digest}' and tags.{TAG} = '{TRAINED}'"
    return _newest(client, experiment_id, wanted) if digest else None


def find_training(client: MlflowClient, experiment_id: str, training: str) -> str | None:
    """Id of the run of a training that was interrupted, or whose results were never added."""
    wanted = f"tags.training = '{training}' and tags.{TAG} != '{COMPLETE}'"
    return _newest(client, experiment_id, f"{wanted} and attributes.status != 'RUNNING'")


def take_over(client: MlflowClient, run_id: str) -> None:
    """Let a run be one that this process sends."""
    client.update_run(run_id, "RUNNING")
    client.set_tag(run_id, TAG, this_process())


def logged_points(client: MlflowClient, run_id: str, names: Iterable[str]) -> set[Point]:
    """The points of these metrics that a run has."""
    histories = [client.get_metric_history(run_id, name) for name in names]
    return {(m.key, m.value, m.step) for history in histories for m in history}


def _newest(client: MlflowClient, experiment_id: str, wanted: str) -> str | None:
    order = ["attributes.start_time DESC"]
    found = client.search_runs([experiment_id], wanted, order_by=order, max_results=1)
    return found[0].info.run_id if found else None


def end_orphans(client: MlflowClient, experiment_id: str) -> None:
    """End runs that still read RUNNING, although what sent them from here is gone."""
    running = client.search_runs([experiment_id], "attributes.status = 'RUNNING'")
    for run in running:
        if is_gone(run.data.tags.get(TAG, "")):
            client.set_terminated(run.info.run_id, "KILLED")
