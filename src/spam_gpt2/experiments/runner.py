"""Run experiments through DVC, in a folder of their own, and read back what they left."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from spam_gpt2.common.commands import execute, git
from spam_gpt2.common.files import InputError, read_json, write_json, write_text
from spam_gpt2.common.params import PARAMS_PATH, check_params
from spam_gpt2.common.project import CLONED_FROM, COLLECTION_PATH
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.yaml_files import read_yaml
from spam_gpt2.experiments.clones import fetch_references
from spam_gpt2.experiments.spec import Experiment, overridden

RECORD_PATH = Path("reports/experiments.json")
LOG_DIR = Path("reports/experiment_logs")
TOOK = re.compile(r"^(\w+) took ([\d.]+) s", re.MULTILINE)  # as `console.run_stage` says it


class RunError(InputError):
    """An experiment that did not come to its end."""


@dataclass(frozen=True)
class Run:
    """What an execution took, and the commit that DVC keeps its results in."""

    commit: str
    seconds: float  # of the whole `dvc exp run`
    stages: dict[str, float]  # seconds of those that ran; the others came from the cache


@dataclass(frozen=True)
class Results:
    """What an experiment left in its commit."""

    gpt2: dict[str, Any]  # metrics/gpt2.json
    training: dict[str, Any]  # metrics/training.json
    messages: str = COLLECTION_PATH  # prepare.path
    baseline: dict[str, Any] = field(default_factory=dict)  # metrics/baseline.json


def command(experiment: Experiment, *options: str) -> list[str]:
    """The `dvc exp run` of an experiment; the same line can be typed by hand."""
    line = ["dvc", "exp", "run", *options, "--name", experiment.name]
    for key, value in experiment.overrides.items():
        line += ["--set-param", f"{key}={_literal(value)}"]
    return [*line, experiment.target]


def run(experiment: Experiment, threads: int | None = None, clone: Path | None = None) -> Run:
    """Run it now, in a temporary folder that leaves the workspace as it is.

    What it prints goes to `reports/experiment_logs/<name>.log`.

    Args:
        threads: that torch may use; None leaves it the choice.
        clone: of the project, to run it there and take over the result; see `clones`.

    Raises: RunError with its last error line.
    """
    remove(experiment)
    began = time.monotonic()
    done = _run(command(experiment, "--temp"), threads, clone)
    if clone:
        fetch_references(clone, _references())
    seconds = time.monotonic() - began
    write_text(LOG_DIR / f"{experiment.name}.log", without_secrets(done.stdout))
    commit = _commit_of(experiment)
    if done.returncode or commit is None:
        raise RunError(
            f"{experiment.name}: {_reason(done.stdout)} ({LOG_DIR}/{experiment.name}.log)"
        )
    stages = {stage: float(took) for stage, took in TOOK.findall(done.stdout)}
    return Run(commit, round(seconds, 1), stages)


def queue(experiment: Experiment) -> None:
    """Put it into DVC's queue, for `dvc queue start`. Raises: RunError."""
    remove(experiment)
    done = _run(command(experiment, "--queue"))
    if done.returncode:
        raise RunError(f"{experiment.name}: {_reason(done.stdout)}")


def remove(experiment: Experiment) -> None:
    """Forget an earlier execution of that name on this commit, if there is one."""
    if _commit_of(experiment):
        _run(["dvc", "exp", "remove", experiment.name])


def find(experiment: Experiment) -> str | None:
    """The commit with its results on the current HEAD, or None.

    An execution under its name with other parameters, before params.yaml or experiments.yaml was
    edited, is not one of it; nor is one whose parameters this version would not take.
    """
    commit = _commit_of(experiment)
    if commit is None:
        return None
    try:
        then = check_params(yaml.safe_load(_git("show", f"{commit}:{PARAMS_PATH}")))
    except InputError:
        return None
    now = overridden(read_yaml(PARAMS_PATH), experiment.overrides, experiment.name)
    return commit if then == now else None


def head() -> str:
    """The commit that experiments start from."""
    return _git("rev-parse", "HEAD").strip()


def _commit_of(experiment: Experiment) -> str | None:
    """The commit that DVC keeps under that name for the current HEAD."""
    place = f"{_references()}/{experiment.name}"
    return _git("for-each-ref", "--format=%(objectname)", place).strip() or None


def _references() -> str:
    """The folder of git's references in which DVC keeps experiments that started from HEAD."""
    start = head()
    return f"refs/exps/{start[:2]}/{start[2:]}"


def read_results(commit: str) -> Results:
    """Metrics out of an experiment's commit, and which messages they are of."""
    gpt2, training, baseline = (
        read_metrics(commit, name) for name in ("gpt2", "training", "baseline")
    )
    params = yaml.safe_load(_git("show", f"{commit}:{PARAMS_PATH}"))
    return Results(gpt2, training, without_secrets(params["prepare"]["path"]), baseline)


def read_metrics(commit: str, name: str) -> dict[str, Any]:
    """One metrics file out of an experiment's commit."""
    return json.loads(_git("show", f"{commit}:metrics/{name}.json"))


def load_record() -> dict[str, Run]:
    """What earlier executions took, by name."""
    if not RECORD_PATH.is_file():
        return {}
    return {name: Run(**values) for name, values in read_json(RECORD_PATH).items()}


def save_record(record: dict[str, Run]) -> None:
    """Keep what executions took; the results themselves are in DVC's experiments."""
    write_json(RECORD_PATH, {name: asdict(run) for name, run in record.items()})


def _literal(value: Any) -> str:
    """A value as `--set-param` reads it: null, true, false, numbers and plain words."""
    return value if isinstance(value, str) else json.dumps(value)


def _reason(output: str) -> str:
    errors = [line for line in output.splitlines() if line.lower().startswith("error")]
    lines = [line for line in errors if "failed to reproduce" not in line] or output.splitlines()
    return lines[0].strip() if errors else (lines[-1].strip() if lines else "dvc said nothing")


def _git(*arguments: str) -> str:
    return git(Path(), *arguments).decode()


def _run(
    line: list[str], threads: int | None = None, clone: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a `dvc` command, which waits while one that runs beside it holds the repository."""
    program, *words = line
    line = [program, "--wait-for-lock", *words]
    environment = dict(os.environ)
    if threads:
        environment["OMP_NUM_THREADS"] = str(threads)
    if clone:
        environment[CLONED_FROM] = str(Path.cwd())
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return execute(line, cwd=clone, env=environment, text=True, **out)
