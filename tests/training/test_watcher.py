"""What watches a training never holds it up."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from spam_gpt2.training import watcher as module
from spam_gpt2.training.watcher import Watcher

READS = """
import sys
from pathlib import Path
Path("read").write_text(sys.stdin.read())
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `python -m` finds a program."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_reads_all_facts_as_lines_of_json(folder: Path) -> None:
    (folder / "reads.py").write_text(READS)
    watcher = Watcher("reads")
    watcher.tell(training="f1")
    watcher.row("step", {"step": 1, "train_loss": 0.5})
    watcher.end()
    assert [json.loads(line) for line in (folder / "read").read_text().splitlines()] == [
        {"training": "f1"},
        {"column": "step", "row": {"step": 1, "train_loss": 0.5}},
    ]


@pytest.mark.parametrize("program", ["import time\ntime.sleep(60)\n", "raise SystemExit(1)\n"])
def test_one_that_does_not_read_is_told_no_more(
    folder: Path,
    program: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (folder / "deaf.py").write_text(program)
    watcher = Watcher("deaf")
    began = time.monotonic()
    while watcher.listens and time.monotonic() < began + 30:
        watcher.row("step", {"step": 1, "train_loss": 0.5})
    watcher.row("step", {"step": 2, "train_loss": 0.5})
    line = "WARNING: this training's curves are shown no further; `track` sends them\n"
    assert capsys.readouterr().err == line
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    watcher.end()
    assert watcher.process.wait(10) is not None


def test_without_a_module_there_is_no_process() -> None:
    watcher = Watcher(None)
    watcher.tell(training="f1")
    watcher.end()
    assert watcher.process is None
