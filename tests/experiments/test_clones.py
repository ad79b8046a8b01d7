"""Clones in which experiments run: the workspace as it is, with the project's cache."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from repository import ODD_NAME, Repository

from spam_gpt2.common.files import InputError
from spam_gpt2.experiments.clones import TMP_DIR, clones, fetch_references, workplaces


def dvc(folder: Path, *command: str) -> str:
    """What dvc prints."""
    done = subprocess.run(["dvc", *command], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A project under git and DVC with a commit, and the current folder in it."""
    project = Repository(tmp_path / "project")
    dvc(project.root, "init", "--quiet")
    project.write("old.txt", "old")
    project.write("picture", bytes(range(256)))
    project.commit(params__yaml={"seed": 1})
    monkeypatch.chdir(project.root)
    return project


def test_a_clone_has_what_is_not_committed_too(project: Repository) -> None:
    project.write("params.yaml", {"seed": 2})
    project.write("picture", bytes(reversed(range(256))))
    (project.root / "old.txt").unlink()
    with clones(2) as (one, two):
        for clone in (one, two):
            assert (clone / "params.yaml").read_text() == "seed: 2\n"
            assert (clone / "picture").read_bytes() == bytes(reversed(range(256)))
            assert not (clone / "old.txt").exists()
    assert not one.exists()
    assert not list((project.root / TMP_DIR).glob("clones-*"))


@pytest.mark.parametrize(
    "setting",
    ["diff.noprefix=true", "diff.mnemonicPrefix=true", "color.ui=always", "diff.external=true"],
)
def test_how_a_user_likes_diffs_does_not_matter(project: Repository, setting: str) -> None:
    project.git("config", *setting.split("="))
    project.write("params.yaml", {"seed": 2})
    with clones(1) as (clone,):
        assert (clone / "params.yaml").read_text() == "seed: 2\n"


@pytest.mark.parametrize("name", ["project", ODD_NAME], ids=["plain", "odd"])
def test_it_works_with_the_projects_cache_settings_and_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, project: Repository, name: str
) -> None:
    project.root = project.root.rename(tmp_path / name)
    monkeypatch.chdir(project.root)
    dvc(project.root, "remote", "add", "--local", "own", "https://example.org/a%20b")
    with clones(1) as (clone,):
        assert dvc(clone, "cache", "dir") == str(project.root / ".dvc/cache")
        assert "https://example.org/a%20b" in dvc(clone, "remote", "list")
        said = subprocess.run(
            ["git", "config", "user.email"], cwd=clone, capture_output=True, text=True
        )
        assert said.stdout.strip() == "test@example.org"
        assert dvc(clone, "status", "--quiet") == ""


def test_only_references_of_the_folder_are_taken_over(project: Repository) -> None:
    with clones(1) as (clone,):
        git = ["git", "-C", str(clone), "-c", "user.name=Test", "-c", "user.email=test@example.org"]
        subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "result"], check=True)
        for reference in ("refs/exps/ab/cd/lora", "refs/exps/stash", "refs/exps/12/34/other"):
            subprocess.run([*git, "update-ref", reference, "HEAD"], check=True)
        fetch_references(clone, "refs/exps/ab/cd")
        fetch_references(clone, "refs/exps/no/ne")
    references = project.git("for-each-ref", "--format=%(refname)", "refs/exps")
    assert references == "refs/exps/ab/cd/lora"
    assert project.git("log", "-1", "--format=%s", "refs/exps/ab/cd/lora") == "result"


def test_one_job_runs_in_the_project_itself(project: Repository) -> None:
    with workplaces(1) as free:
        assert free.get() is None
        assert free.empty()
    with workplaces(2) as free:
        assert len({free.get(), free.get(), None}) == 3


def test_a_folder_that_is_no_project_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"^git clone: repository '\.' does not exist"):
        clones(1).__enter__()
