"""A copy that is thrown away knows the project that it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import Repository

from spam_gpt2.common.files import InputError
from spam_gpt2.common.project import CLONED_FROM, check_is_there, project_dir


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "folder"),
        ({"DVC_ROOT": "/project"}, "/project"),
        ({"DVC_ROOT": "/clone", CLONED_FROM: "/project"}, "/project"),
    ],
    ids=["the project itself", "a copy by dvc", "a copy of a clone"],
)
def test_the_project_is_what_was_copied(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DVC_ROOT", CLONED_FROM):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert project_dir(Path("folder")) == Path(expected)


def test_a_file_that_git_does_not_know_is_missed_in_a_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, copy_dir = tmp_path / "project", tmp_path / "copy"
    repository = Repository(project)
    repository.commit(**{".gitignore": "made.csv\n", "known.csv": "label,text\n"})
    for name in ("my messages.csv", "made.csv"):
        (project / name).touch()
    Repository(copy_dir, clone_of=project)
    monkeypatch.delenv(CLONED_FROM, raising=False)
    monkeypatch.setenv("DVC_ROOT", str(project))
    monkeypatch.chdir(copy_dir)
    for path in ("known.csv", "made.csv", project / "my messages.csv"):
        check_is_there(Path(path), "prepare.path")
    with pytest.raises(InputError) as caught:
        check_is_there(Path("my messages.csv"), "prepare.path")
    assert str(caught.value).startswith("prepare.path: git does not know my messages.csv, ")
    assert "--copy-paths 'my messages.csv'" in str(caught.value)
    assert str(project / "my messages.csv") in str(caught.value)
    with pytest.raises(InputError, match=r"prepare.path: .*/project/nowhere.csv: no such file"):
        check_is_there(Path("nowhere.csv"), "prepare.path")
    monkeypatch.chdir(project)
    check_is_there(Path("my messages.csv"), "prepare.path")
