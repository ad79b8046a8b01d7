"""What stages took is noted with when and by whom, so that an execution can be told from others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from spam_gpt2.common.timings import last_execution

STAGE = """
import sys, time
from spam_gpt2.common.console import run_stage
run_stage(lambda: time.sleep(0.3), sys.argv[1])
"""


def line(stage: str, seconds: float, second: int, execution: str) -> str:
    return f"{stage}\t{seconds}\t100\t2026-01-02T03:04:{second:02}.000+00:00\t{execution}\n"


@pytest.fixture
def timings(tmp_path: Path) -> Path:
    """Two executions of the pipeline, analyses after them, and what older versions wrote."""
    path = tmp_path / "timings.tsv"
    lines = [
        *("finetune\t7.0\t100\n", "half a li\n"),
        *(line("finetune", 5, 10, "1-1"), line("evaluate", 1, 11, "1-1")),
        *(line("finetune", 6, 30, "2-2"), line("finetune", 7, 40, "2-2")),
        *(line("evaluate", 2, 44, "2-2"), line("calibrate", 1, 50, "3-3")),
    ]
    path.write_text("".join(lines))
    return path


def test_the_last_execution_of_a_stage_is_found_with_what_it_ran(timings: Path) -> None:
    found = last_execution(["prepare", "finetune", "evaluate"], timings)
    assert [(row.stage, row.seconds, row.peak) for row in found] == [
        ("finetune", 7.0, 100), ("evaluate", 2.0, 100),
    ]  # fmt: skip
    assert found[0].began == datetime(2026, 1, 2, 3, 4, 33, tzinfo=UTC)
    assert found[-1].ended == datetime(2026, 1, 2, 3, 4, 44, tzinfo=UTC)
    assert [row.stage for row in last_execution(["calibrate"], timings)] == ["calibrate"]


def test_what_never_ran_has_no_execution(timings: Path, tmp_path: Path) -> None:
    assert last_execution(["baseline"], timings) == []
    assert last_execution(["baseline"], tmp_path / "missing.tsv") == []


@pytest.mark.parametrize("shell", ["{}", "{}; true"], ids=["becomes the stage", "stays"])
def test_stages_of_one_process_are_one_execution(tmp_path: Path, shell: str) -> None:
    """As `dvc` starts them: one after the other, each by a shell."""
    starter = (
        "import subprocess, sys\n"
        "for command in sys.argv[1:]: subprocess.run(command, shell=True, check=True)\n"
    )
    began = time.time()
    for names in (["first"], ["second", "third"]):
        commands = [
            shell.format(f"{sys.executable} -c '{STAGE}' stages/{name}.py") for name in names
        ]
        subprocess.run(
            [sys.executable, "-c", starter, *commands], cwd=tmp_path, check=True, env=os.environ
        )
    found = last_execution(["first", "second", "third"], tmp_path / "reports/timings.tsv")
    assert [row.stage for row in found] == ["second", "third"]
    second, third = found
    assert began < second.began.timestamp() < second.ended.timestamp() <= time.time()
    assert second.ended.timestamp() <= third.began.timestamp() + 0.1  # it is noted to tenths
    assert 0.3 <= second.seconds < 5
