"""A person sees news, one line for an error, and a progress bar where there is a terminal."""

from __future__ import annotations

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from spam_gpt2.common.console import (
    exit_with_error,
    held_stderr,
    progress,
    run_stage,
    say,
    warn,
)
from spam_gpt2.common.files import InputError

TIMINGS = Path("reports/timings.tsv")


class Terminal(io.StringIO):
    """Standard error that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_news_and_warnings_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    say("some news")
    warn("look out")
    seen = capsys.readouterr()
    assert seen.err == "some news\nWARNING: look out\n"
    assert seen.out == ""


def test_an_error_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        exit_with_error(InputError("a.json: damaged:\n  line 3\n\tcolumn 4"))
    seen = capsys.readouterr()
    assert caught.value.code == 1
    assert seen.err == "error: a.json: damaged: line 3 column 4\n"
    assert seen.out == ""


def test_progress_is_silent_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(progress(range(3))) == [0, 1, 2]
    seen = capsys.readouterr()
    assert seen.err == seen.out == ""


def test_progress_shows_on_a_terminal_and_news_do_not_break_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress(total=4, desc="messages") as bar:
        bar.update(2)
        say("some news")
    assert "messages:  50%" in terminal.getvalue()
    assert "some news\n" in terminal.getvalue()


def test_each_run_of_a_stage_adds_a_line_with_its_seconds_and_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = []
    run_stage(lambda: ran.append("prepare"), "stages/prepare.py")
    run_stage(lambda: ran.append("evaluate"), "stages/evaluate.py")
    lines = [line.split("\t") for line in TIMINGS.read_text().splitlines()]
    assert [name for name, *_ in lines] == ran == ["prepare", "evaluate"]
    assert all(0 <= float(seconds) < 5 for _, seconds, *_ in lines)
    assert all(int(memory) > 0 for _, _, memory, *_ in lines)


LARGE_STAGE = """
from spam_gpt2.common.console import run_stage

def main():
    bytearray(b"x") * 400_000_000  # gone again before the stage ends

run_stage(main, "stages/prepare.py")
"""


def test_memory_is_the_peak_in_megabytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", LARGE_STAGE], cwd=tmp_path, check=True)
    memory = int((tmp_path / TIMINGS).read_text().split("\t")[2])
    assert 380 < memory < 500  # 400 MB are 381 MiB; Python itself takes a few dozen


def test_a_mistake_in_the_program_is_not_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ZeroDivisionError):
        run_stage(lambda: print(1 // 0), "stages/prepare.py")


FAILING_STAGE = """
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import InputError

def main():
    raise InputError("data.csv: line 3: no label")

run_stage(main, __file__)
"""


def test_a_failing_stage_prints_one_line_and_no_time(tmp_path: Path) -> None:
    script_path = tmp_path / "prepare.py"
    script_path.write_text(FAILING_STAGE)
    command = [sys.executable, str(script_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: data.csv: line 3: no label\n"
    assert done.stdout == ""
    assert not (tmp_path / TIMINGS).exists()


INTERRUPTED_STAGE = """
import signal
from spam_gpt2.common.console import run_stage

run_stage(lambda: signal.raise_signal(signal.SIGINT), "prepare.py")  # as Ctrl-C does
"""


def test_an_interrupted_stage_is_one_line_and_no_time(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED_STAGE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")
    assert not (tmp_path / TIMINGS).exists()


STAGE_WITHOUT_ROOM = """
import resource
from pathlib import Path
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_text

resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
run_stage(lambda: write_text(Path("metrics/data.json"), "x" * 50_000), __file__)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits to set")
def test_a_full_disk_is_one_line_with_the_file(tmp_path: Path) -> None:
    script_path = tmp_path / "prepare.py"
    script_path.write_text(STAGE_WITHOUT_ROOM)
    command = [sys.executable, str(script_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: metrics/data.json: File too large\n"
    assert list((tmp_path / "metrics").iterdir()) == []


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "prepare: No space left on device"),
        (OSError(errno.ENOENT, "No such file", "a.csv"), "a.csv: No such file"),
        (OSError(errno.ENOSPC, "No space", "a.csv", None, "b.csv"), "b.csv: No space"),
        (OSError("what no system said"), "prepare: what no system said"),
    ],
)
def test_an_error_of_the_system_says_where(
    capsys: pytest.CaptureFixture[str], error: OSError, line: str
) -> None:
    with pytest.raises(SystemExit):
        exit_with_error(error, "prepare")
    assert capsys.readouterr().err == f"error: {line}\n"


STAGE_THAT_LEAVES = """
import atexit, gc
from spam_gpt2.common.console import run_stage

atexit.register(lambda: print(gc.get_freeze_count()))  # what is registered first comes last
run_stage(lambda: print(gc.get_freeze_count()), "stages/prepare.py")
"""


def test_a_stage_that_ends_looks_for_no_garbage(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STAGE_THAT_LEAVES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    in_the_stage, at_exit = map(int, done.stdout.split())
    assert in_the_stage == 0
    assert at_exit > 1000  # objects that the last collections pass over


def test_garbage_is_collected_from_where_the_work_begins(tmp_path: Path) -> None:
    """Not while libraries are imported, which leave none."""
    script = tmp_path / "stages/some_stage.py"
    script.parent.mkdir()
    script.write_text(
        "import gc\nfrom spam_gpt2.common.console import run_stage\n"
        "imported = gc.isenabled()\n"
        "run_stage(lambda: print(imported, gc.isenabled()), 'some_stage.py')\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, check=True, text=True, stdout=subprocess.PIPE
    )
    assert done.stdout.split() == ["False", "True"]


def test_what_a_library_prints_below_python_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with held_stderr():
        os.write(2, b"a note of C++")
    os.write(2, b"after it")
    assert capfd.readouterr().err == "after it"


def test_it_is_shown_where_the_library_fails(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with held_stderr():
            os.write(2, b"a note of C++")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "a note of C++"
