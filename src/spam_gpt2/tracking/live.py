"""Shows the curves of a training in MLflow while it runs (`track.live`): a process beside it.

`python -m spam_gpt2.tracking.live` is started by the stage finetune, which writes lines of JSON to
its standard input: first what is trained, then the rows of the curves, at last that the classifier
is saved. The stage `track` completes the run. An interrupted training that continues, does so in
the same run.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from spam_gpt2.common.console import say, warn
from spam_gpt2.common.params import load_params
from spam_gpt2.tracking.mlflow_run import open_store, run_params
from spam_gpt2.tracking.naming import run_name
from spam_gpt2.tracking.points import curve_point
from spam_gpt2.tracking.provenance import classifier_sha256
from spam_gpt2.tracking.run_state import (
    TAG,
    TRAINED,
    end_orphans,
    find_training,
    logged_points,
    take_over,
    this_process,
)
from spam_gpt2.tracking.sending import reason

Fact = dict[str, Any]
NICE = 5  # the training goes first; at 19 a busy machine's curves came minutes late
SETTLED = ("finetune.", "weights", "compute.")  # the fingerprint of a training has these


def main() -> None:
    """Follow a training to its end; what MLflow does wrong is one line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends the training, and that our input
    with suppress(OSError, AttributeError):  # Windows has no such thing
        os.nice(NICE)
    try:
        follow(batches(sys.stdin))
    except Exception as error:
        why = reason(error)
        warn(f"MLflow does not show this training while it runs ({why}); `track` sends it later")


def batches(file: TextIO) -> Iterator[list[Fact]]:
    """What was written since the last time, as often as something was, to the end of the input."""
    facts: queue.SimpleQueue[Fact | None] = queue.SimpleQueue()

    def read() -> None:
        for line in file:
            facts.put(json.loads(line))
        facts.put(None)

    threading.Thread(target=read, daemon=True).start()
    is_open = True
    while is_open:
        found = [facts.get()]
        while not facts.empty():
            found.append(facts.get())
        is_open = found[-1] is not None
        yield [fact for fact in found if fact is not None]


def follow(told: Iterator[list[Fact]]) -> None:
    """Keep a run of MLflow up with what is told."""
    (start, *facts) = next(told) or [{}]
    if not start:
        return
    run = LiveRun(start)
    status = "FAILED"
    try:
        run.add(facts)
        for more in told:
            run.add(more)
        status = "FINISHED" if run.is_trained else "KILLED"
    finally:
        with suppress(Exception):  # an error before this one is what counts
            run.end(status)


class LiveRun:
    """The run of a training, new or that which an interruption left.

    Args:
        start: what `finetune` says first: the fingerprint of the training, weights, device and
            precision.
    """

    def __init__(self, start: Fact) -> None:
        params = load_params()
        self.client, experiment_id = open_store(Path(), params.track.experiment)
        end_orphans(self.client, experiment_id)
        training, values = start["training"], params.model_dump()
        self.is_trained = False
        found = find_training(self.client, experiment_id, training)
        if found is None:
            facts = {"training": training, TAG: this_process()}
            name = run_name(Path(), values)
            self.run_id = self.client.create_run(experiment_id, None, facts, name).info.run_id
            for key, value in run_params(values, start).items():
                if key.startswith(SETTLED):  # the rest may differ when `track` sends it
                    self.client.log_param(self.run_id, key, value)
        else:
            self.run_id = found
            take_over(self.client, found)
        logged = self.client.get_run(self.run_id).data.metrics
        curves = [name for name in logged if name.startswith("curves/")]
        self.known = logged_points(self.client, self.run_id, curves)
        say(f"MLflow run {self.run_id} shows the curves; `make mlflow`")

    def add(self, facts: list[Fact]) -> None:
        """Log rows of the curves, but those that the run has; note that the classifier is saved."""
        from mlflow.entities import Metric

        rows = [fact for fact in facts if "row" in fact]
        points = [point for fact in rows for point in curve_point(fact["row"], fact["column"])]
        fresh = [point for point in dict.fromkeys(points) if point not in self.known]
        self.known.update(fresh)
        now = int(time.time() * 1000)
        metrics = [Metric(name, value, now, step) for name, value, step in fresh]
        if metrics:
            self.client.log_batch(self.run_id, metrics)
        if any("saved" in fact for fact in facts):
            self.client.set_tag(self.run_id, "classifier_sha256", classifier_sha256(Path()))
            self.client.set_tag(self.run_id, TAG, TRAINED)
            self.is_trained = True

    def end(self, status: str) -> None:
        """Say how the training ended."""
        self.client.set_terminated(self.run_id, status)


if __name__ == "__main__":
    main()
