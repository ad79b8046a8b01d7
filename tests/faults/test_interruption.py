"""Interrupted anywhere, the project loses nothing."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from finished import evaluate, write_project

# Ctrl-C at the very moment that a library is imported.
INTERRUPTING_LIBRARY = "import signal\nsignal.raise_signal(signal.SIGINT)\n"
IMPORTING = {
    "stages/finetune.py": "pandas",
    "stages/prepare.py": "pandas",
    "-m spam_gpt2": "numpy",
    "-m spam_gpt2.experiments": "yaml",
    "-m spam_gpt2.tracking.registry": "numpy",
    "-m spam_gpt2.common.params": "yaml",
    "-m spam_gpt2.reporting.pr_report": "tqdm",
}


@pytest.mark.parametrize("program", list(IMPORTING))
def test_ctrl_c_during_imports_is_one_line(tmp_path: Path, program: str) -> None:
    (tmp_path / f"{IMPORTING[program]}.py").write_text(INTERRUPTING_LIBRARY)
    done = subprocess.run(
        [sys.executable, *program.split()],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'src'}"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


OPEN_STORE = """
import sys
from pathlib import Path
from spam_gpt2.tracking.mlflow_run import open_store
import mlflow
sys.stdin.read()  # until all are here
client, experiment = open_store(Path(), "spam-gpt2")
client.set_terminated(client.create_run(experiment).info.run_id)
"""


def test_four_at_once_on_a_new_database_lose_no_run(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    command = [sys.executable, "-c", OPEN_STORE]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    four = [
        subprocess.Popen(command, cwd=tmp_path, env=environment, text=True, **pipes)
        for _ in range(4)
    ]
    for each in four:
        each.stdin.close()
    said = [(each.stderr.read(), each.wait(), each.stderr.close())[:2] for each in four]
    assert [code for _, code in said] == [0] * 4, said
    with sqlite3.connect(tmp_path / "mlflow.db") as store:
        assert store.execute("select count(*) from runs").fetchone() == (4,)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose pipeline has run, with no run in MLflow."""
    root = tmp_path_factory.mktemp("finished")
    write_project(root)
    evaluate(root)
    return root


@pytest.mark.full
def test_four_experiments_that_track_at_once_lose_no_run(finished: Path, tmp_path: Path) -> None:
    """The stage itself, in copies of one project that has no database yet."""
    copies = [shutil.copytree(finished, tmp_path / f"copy-{i}") for i in range(4)]
    (tmp_path / "project").mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_"))}
    environment |= {
        "PYTHONPATH": str(ROOT / "src"),
        "SPAM_GPT2_PROJECT": str(tmp_path / "project"),
    }
    stages = [
        subprocess.Popen([sys.executable, ROOT / "stages/track.py"], cwd=copy, env=environment)
        for copy in copies
    ]
    assert [stage.wait(timeout=300) for stage in stages] == [0] * 4
    said = [(copy / "reports/tracked.txt").read_text() for copy in copies]
    assert said == ["sent to MLflow\n"] * 4
    with sqlite3.connect(tmp_path / "project/mlflow.db") as store:
        runs = store.execute(
            "select status, count(key) from runs join metrics using (run_uuid) group by run_uuid"
        ).fetchall()
    assert len(runs) == 4
    assert len(set(runs)) == 1
    assert runs[0][0] == "FINISHED"


def kill_at_writes(
    program: str, project: Path, folder: Path, shares: list[float]
) -> list[dict[str, Any]]:
    """What `kills.py` says of each case."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW_", "DVC_"))}
    done = subprocess.run(
        [
            sys.executable,
            ROOT / "tests/faults/kills.py",
            program,
            project,
            folder,
            *map(str, shares),
        ],
        env=environment | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    cases = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(cases) == len(shares)
    for case in cases:
        codes = {"killed": -9, "between": 0, "next": 0, "left": 0}
        assert case["codes"] == codes, case["log"]
    return cases


def check_tracked(cases: list[dict[str, Any]]) -> None:
    """The next call's run is whole; at most the one that was cut off is not."""
    for case in cases:
        assert "WARNING" not in case["log"]
        assert case["left"]["whole"] >= 1
        assert case["left"]["runs"] <= 2


def check_registered(cases: list[dict[str, Any]]) -> None:
    """No champion is half registered, neither before nor after the next call."""
    for case in cases:
        for found in filter(None, (case["between"], case["left"])):
            assert found["status"] == "READY"
            assert (found["run"], found["answers"]) == ("FINISHED", 1)
            assert found["tags"] == 9
            assert found["description"].endswith("seed 123")
        assert case["left"]["champion"] in ("1", "2")


# While the tables of a new database are made.
def test_a_kill_within_track_leaves_a_database_that_the_next_call_uses(
    finished: Path, tmp_path: Path
) -> None:
    check_tracked(kill_at_writes("track", finished, tmp_path, [0.3]))


# When the version is there, and has no name yet.
def test_a_kill_within_register_leaves_no_half_champion(finished: Path, tmp_path: Path) -> None:
    check_registered(kill_at_writes("register", finished, tmp_path, [0.975]))


@pytest.mark.full
@pytest.mark.parametrize(
    ("program", "check"), [("track", check_tracked), ("register", check_registered)]
)
def test_a_kill_at_any_write_of_track_and_register(
    finished: Path, tmp_path: Path, program: str, check: Any
) -> None:
    draw = random.Random(20)
    shares = [*(draw.random() for _ in range(12)), *(draw.uniform(0.9, 1) for _ in range(12))]
    check(kill_at_writes(program, finished, tmp_path, shares))
