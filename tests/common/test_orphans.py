"""A stage ends with the `dvc` that started it, and with no one else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from running import is_running

STAGE = """
import os, time
from pathlib import Path
from spam_gpt2.common.console import run_stage

def main():
    print(os.getpid(), flush=True)
    time.sleep(30)

run_stage(main, "stages/prepare.py")
"""
# As DVC does it: the command by a shell, which may stay between the two.
PARENT = """
import subprocess, sys
subprocess.run(["/bin/sh", "-c", f"{sys.executable} stage.py"])
"""


@pytest.mark.skipif(os.name == "nt", reason="no signals")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("by_dvc", [True, False])
def test_a_stage_ends_with_dvc(tmp_path: Path, number: signal.Signals, by_dvc: bool) -> None:
    (tmp_path / "stage.py").write_text(STAGE)
    environment = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"}
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        env=environment | ({"DVC_STAGE": "prepare"} if by_dvc else {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stage = int(parent.stdout.readline())
    try:
        time.sleep(0.1)
        assert is_running(stage)
        parent.send_signal(number)
        parent.wait(timeout=10)
        until = time.monotonic() + (5 if by_dvc else 0.5)
        while is_running(stage) and time.monotonic() < until:
            time.sleep(0.05)
        assert is_running(stage) is not by_dvc
        assert not (tmp_path / "reports/timings.tsv").exists()
    finally:
        with suppress(ProcessLookupError):  # it may have ended
            os.kill(stage, signal.SIGKILL)
        parent.stdout.close()


def test_a_stage_that_a_program_starts_without_a_shell_comes_to_its_end(tmp_path: Path) -> None:
    """Many shells become the command: then `dvc` itself is the parent, and alive."""
    (tmp_path / "stage.py").write_text(STAGE.replace("sleep(30)", "sleep(0.3)"))
    environment = os.environ | {"DVC_STAGE": "prepare"}
    command = [sys.executable, "stage.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, "prepare took" in done.stderr) == (0, True)
