"""A lock file that DVC cannot read is healed, and an unresolved merge is told."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path

import pytest

from spam_gpt2.common import repair
from spam_gpt2.common.files import InputError
from spam_gpt2.common.repair import heal_state, is_lock

LOCK = """schema: '2.0'
stages:
  prepare:
    cmd: python stages/prepare.py
    deps:
    - path: params.yaml
      hash: md5
      md5: 0123456789abcdef0123456789abcdef
      size: 3
    params:
      params.yaml:
        prepare:
          seed: 123
"""


@pytest.fixture(params=["dvc.lock", "reports/dvc.lock"])
def lock_path(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch) -> Path:
    """A lock file that is committed, in a project in a folder of a repository."""
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    project = tmp_path / "project"
    path = project / request.param
    path.parent.mkdir(parents=True)
    path.write_text(LOCK)
    who = ["-c", "user.email=test@example.org", "-c", "user.name=Test"]
    subprocess.run(["git", "add", "--all"], cwd=tmp_path, check=True)
    subprocess.run(["git", *who, "commit", "-qm", "lock"], cwd=tmp_path, check=True)
    monkeypatch.chdir(project)
    return Path(request.param)


def test_a_lock_file_cut_off_anywhere_is_read_as_dvc_reads_it(tmp_path: Path) -> None:
    import voluptuous
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    path = tmp_path / "dvc.lock"
    for length in range(len(LOCK) + 1):
        path.write_text(LOCK[:length])
        try:
            COMPILED_LOCKFILE_SCHEMA(YAML(typ="safe").load(path.read_text()) or {})
            dvc_reads_it = True
        except (YAMLError, voluptuous.Invalid):
            dvc_reads_it = False
        assert not is_lock(path) or dvc_reads_it, LOCK[:length]
    assert is_lock(path)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repair, "SECONDS", 0.3)


@pytest.mark.parametrize("left", ["", "schema: '2.0'\nstages:\n  prepare:\n", "\0\0", "- ["])
def test_a_cut_off_lock_file_is_as_committed_again(
    lock_path: Path, left: str, capsys: pytest.CaptureFixture[str]
) -> None:
    lock_path.write_text(left)
    heal_state()
    assert lock_path.read_text() == LOCK
    assert capsys.readouterr().err.startswith(f"{lock_path} was cut off")


def test_one_that_was_never_committed_is_removed(lock_path: Path) -> None:
    subprocess.run(["git", "rm", "-q", "--cached", str(lock_path)], check=True)
    who = ["-c", "user.email=test@example.org", "-c", "user.name=Test"]
    subprocess.run(["git", *who, "commit", "-qm", "none"], check=True)
    lock_path.write_text("")
    heal_state()
    assert not lock_path.exists()


def test_a_whole_lock_file_is_left_alone(
    lock_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = LOCK.replace("123\n", "124\n")
    lock_path.write_text(changed)
    heal_state()
    assert lock_path.read_text() == changed
    assert capsys.readouterr().err == ""


def test_one_that_dvc_is_writing_is_left_alone(
    lock_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = LOCK.replace("123\n", "124\n")
    lock_path.write_text("")
    writer = threading.Timer(0.1, lock_path.write_text, [changed])
    writer.start()
    heal_state()
    writer.join()
    assert lock_path.read_text() == changed
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("left", ["", '{"write": {', "[]", '{"read": {}}'])
def test_a_list_of_locks_that_was_cut_off_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """DVC itself fails at it at every command: "JSON structure is corrupted"."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / ".dvc/tmp/rwlock"
    path.parent.mkdir(parents=True)
    path.write_text(left)
    heal_state()
    assert path.exists() is (left == '{"read": {}}')


WRITTEN = ["params.yaml", "experiments.yaml", "dvc.yaml", "plots/dvc.yaml", "reports/dvc.yaml"]
MADE = ["dvc.lock", "reports/dvc.lock", "metrics/gpt2.json"]


@pytest.mark.parametrize("name", [*WRITTEN, *MADE])
def test_an_unresolved_merge_is_one_line_with_the_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    steps = "keep the lines that you mean" if name in WRITTEN else "`git checkout --ours"
    monkeypatch.chdir(tmp_path)
    path = Path(name)
    path.parent.mkdir(exist_ok=True)
    text = "a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> other\n"
    path.write_text(text)
    with pytest.raises(InputError, match=f"^{name}: an unresolved merge; {steps}"):
        heal_state()
    assert path.read_text() == text
