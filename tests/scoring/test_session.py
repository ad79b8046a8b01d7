"""What is missing for Spark is one line that says what to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spam_gpt2.scoring.session import with_attempts

COMMAND = [sys.executable, "-m", "spam_gpt2.scoring", "in", "out", "--model", "none"]
HIDDEN = "import sys; sys.modules['pyspark'] = None; import runpy; sys.argv[1:] = ['in', 'out']; "
HIDDEN += "runpy.run_module('spam_gpt2.scoring', run_name='__main__')"


def failed(command: list[str], folder: Path, **environment: str) -> str:
    """The one line of a command that fails."""
    kept = {name: value for name, value in os.environ.items() if name != "JAVA_HOME"}
    done = subprocess.run(
        command, cwd=folder, env=kept | environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert list(folder.glob("out*")) == []
    return line


def test_without_pyspark_one_line_says_what_to_run(tmp_path: Path) -> None:
    line = failed([sys.executable, "-c", HIDDEN], tmp_path)
    assert line == "error: pyspark is not installed; run: make extras"


def test_without_java_one_line_says_what_to_install(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    line = failed(COMMAND, tmp_path, PATH=str(tmp_path))
    assert line.startswith("error: Spark needs Java 17 or newer, and there is none; install it")


def test_a_java_home_without_java_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    line = failed(COMMAND, tmp_path, JAVA_HOME=str(tmp_path))
    assert f"JAVA_HOME={tmp_path} has none" in line


def test_a_java_that_ends_is_quoted(tmp_path: Path) -> None:
    """As one does that is too old for Spark's classes."""
    pytest.importorskip("pyspark")
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho class file version 61.0 >&2\nexit 1\n", encoding="utf-8")
    java.chmod(0o755)
    line = failed(COMMAND, tmp_path, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert "class file version 61.0; Spark needs Java 17 or newer" in line


@pytest.mark.parametrize(
    ("master", "expected"),
    [
        ("local", "local[1,4]"),
        ("local[2]", "local[2,4]"),
        ("local[*]", "local[*,4]"),
        ("local[2,1]", "local[2,1]"),
        ("spark://host:7077", "spark://host:7077"),
        ("yarn", "yarn"),
    ],
)
def test_a_task_is_tried_again_in_local_mode_too(master: str, expected: str) -> None:
    assert with_attempts(master) == expected
