"""Stages on several processes: the same results, and one line whatever happens to them."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clone import set_params
from conftest import ROOT
from finished import write_project
from running import is_running

from spam_gpt2.common.files import read_json, sha256_of, write_json

pytestmark = pytest.mark.skipif(os.name == "nt", reason="no signals")

STATE = Path("models/finetune_checkpoint/state.json")
RESULTS = ("models/classifier", "plots/finetune", "metrics/training.json")


@dataclass(frozen=True)
class Project:
    """A folder in which the three stages that share their work can run."""

    folder: Path

    def set(self, **changes: Any) -> None:
        """Change parameters, as `set_params`."""
        set_params(self.folder, **changes)

    def start(self, stage: str) -> subprocess.Popen:
        """Start a stage, as a person does on a terminal."""
        environment = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"}
        return subprocess.Popen(
            [sys.executable, f"stages/{stage}.py"],
            cwd=self.folder, stderr=subprocess.PIPE, text=True,
            env=environment | {"PYTHONPATH": str(ROOT / "src")},
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )  # fmt: skip

    def run(self, *stages: str) -> str:
        """Run stages; the last one's standard error."""
        for stage in stages:
            process = self.start(stage)
            said = process.communicate(timeout=300)[1]
            assert process.returncode == 0, said
        return said

    def digests(self, *names: str) -> dict[str, str]:
        """SHA-256 of files, and of all that is in folders."""
        paths = [self.folder / name for name in names]
        files = [f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p])]
        return {str(f.relative_to(self.folder)): sha256_of(f) for f in files if f.is_file()}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """All that comes before the features, for one thread a process."""
    made = Project(tmp_path_factory.mktemp("prepared"))
    write_project(made.folder)
    write_json(made.folder / "data/prepared/labels.json", ["ham", "spam"])
    test_path = made.folder / "data/prepared/test.csv"
    shutil.copyfile(test_path, test_path.with_name("holdout.csv"))
    shutil.copytree(ROOT / "stages", made.folder / "stages")
    made.set(
        compute__threads=1,
        extract_features__batch_tokens=40,
        finetune__trainable="all",
        finetune__learning_rate=1e-3,
        finetune__batch_size=4,
        finetune__checkpoint_every=1,
    )
    made.run("plan_features", "extract_features")
    return made


@pytest.fixture
def project(prepared: Project, tmp_path: Path) -> Project:
    return Project(shutil.copytree(prepared.folder, tmp_path / "project"))


def test_features_are_the_same_files(project: Project) -> None:
    project.set(finetune__trainable="last_block")
    extracted = ("data/features", "metrics/tokens.json")
    stages = ("plan_features", "extract_features", "extract_holdout")
    project.run(*stages)
    alone = project.digests(*extracted)
    assert "data/features/holdout.safetensors" in alone
    for name in alone:
        if name.endswith(".safetensors"):
            (project.folder / name).unlink()
    project.set(compute__processes=2)
    (line,) = project.run(*stages).splitlines()
    assert line.startswith("extract_holdout took ")
    assert project.digests(*extracted) == alone


def test_what_was_used_stands_in_the_metrics(project: Project) -> None:
    project.run("finetune")
    alone = read_json(project.folder / "metrics/training.json")
    assert alone["processes"] == 1
    project.set(compute__processes=2)
    (line,) = project.run("finetune").splitlines()
    assert line.startswith("finetune took ")
    metrics = read_json(project.folder / "metrics/training.json")
    assert (metrics["processes"], metrics["threads"]) == (2, 1)
    for loss in ("train_loss", "validation_loss"):
        assert metrics[loss] == pytest.approx(alone[loss], abs=1e-5)
    stages = [line.split("\t")[0] for line in timings(project)]
    assert stages == ["plan_features", "extract_features", "finetune", "finetune"]
    assert not list(project.folder.rglob("*.tmp"))


def timings(project: Project) -> list[str]:
    return (project.folder / "reports/timings.tsv").read_text().splitlines()


def parts_of(process: subprocess.Popen) -> dict[int, int]:
    """Numbers of the processes that a stage has started, by their rank."""
    found = {}
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True)
    for line in listed.stdout.splitlines():
        pid, parent = map(int, line.split())
        if parent == process.pid:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                values = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
                found |= {int(v[5:]): pid for v in values if v.startswith(b"RANK=")}
    return found


def interrupt(project: Project, whom: str | int, number: signal.Signals) -> tuple[int, str]:
    """Send a signal to the stage or one of its processes once there is a checkpoint.

    Returns: exit code and standard error. Nothing of the stage runs on.
    """
    process = project.start("finetune")
    while not (project.folder / STATE).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    parts = parts_of(process)
    assert sorted(parts) == [0, 1]
    os.kill(process.pid if whom == "stage" else parts[whom], number)
    said = process.communicate(timeout=30)[1]
    until = time.monotonic() + 5
    while any(map(is_running, parts.values())) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(map(is_running, parts.values()))
    return process.returncode, said


KILLED = (
    "error: process {} of 2 (compute.processes) ended by SIGKILL; `dvc repro` tries again, and "
    "goes on where there is a checkpoint\n"
)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(("trainable", "rank"), [("all", 1), ("lora", 0)])
def test_a_process_that_dies_ends_the_stage_which_then_goes_on(
    project: Project, trainable: str, rank: int
) -> None:
    project.set(compute__processes=2, finetune__trainable=trainable, finetune__epochs=100)
    project.run("finetune")
    undisturbed = project.digests(*RESULTS)
    for path in undisturbed:
        (project.folder / path).unlink()
    assert interrupt(project, rank, signal.SIGKILL) == (1, KILLED.format(rank + 1))
    assert project.digests("models/classifier") == {}
    step = read_json(project.folder / STATE)["facts"]["step"]
    going_on, took = project.run("finetune").splitlines()
    assert going_on == f"finetune continues after step {step}, from {STATE.parent}"
    assert took.startswith("finetune took ")
    assert project.digests(*RESULTS) == undisturbed


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "code", "line"),
    [
        (signal.SIGINT, 130, "interrupted\n"),
        (signal.SIGTERM, -signal.SIGTERM, ""),
        (signal.SIGKILL, -signal.SIGKILL, ""),
    ],
)
def test_a_stage_that_is_ended_leaves_no_process_behind(
    project: Project, number: signal.Signals, code: int, line: str
) -> None:
    project.set(compute__processes=2, finetune__epochs=3000)
    assert interrupt(project, "stage", number) == (code, line)


def test_what_is_wrong_outside_is_said_once(project: Project) -> None:
    project.set(compute__processes=3, finetune__learning_rate=1e30)
    process = project.start("finetune")
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    (line,) = said.splitlines()
    assert line.startswith("error: params.yaml: finetune.learning_rate: training diverges")


def test_nothing_goes_on_with_another_number_of_processes(project: Project) -> None:
    project.set(compute__processes=2, finetune__epochs=3000)
    interrupt(project, "stage", signal.SIGINT)
    project.set(compute__processes=3)
    process = project.start("finetune")
    assert "finetune starts anew" in process.stderr.readline()
    process.terminate()
    process.communicate(timeout=30)
