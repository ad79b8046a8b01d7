"""Interrupted anywhere, the project loses nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

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
