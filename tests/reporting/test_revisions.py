"""Results are read as git has them, and what cannot be read is one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import PARAMS, PIPELINE, Repository, gpt2_metrics, lock

from spam_gpt2.common.files import InputError
from spam_gpt2.reporting.revisions import at_merge_base, in_working_tree

OLD, NEW = gpt2_metrics([[8, 2], [3, 7]]), gpt2_metrics([[9, 1], [3, 7]])


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """One commit on main with the old metrics."""
    it = Repository(tmp_path / "project")
    it.start(OLD)
    return it


def accuracy(results) -> float:
    return results.metrics["gpt2"]["test"]["accuracy"]


def test_base_is_the_commit_and_head_is_the_working_tree(repository: Repository) -> None:
    repository.write("metrics/gpt2.json", NEW)
    before, after = at_merge_base(repository.root, "main"), in_working_tree(repository.root)
    assert (accuracy(before), accuracy(after)) == (0.75, 0.8)
    head = repository.git("rev-parse", "--short", "HEAD")
    assert before.name == f"`{head}`"
    assert after.name == f"working tree on `{head}`"
    assert before.params == after.params == PARAMS


def test_without_changes_the_working_tree_bears_the_commits_name(repository: Repository) -> None:
    (repository.root / "notes.txt").write_text("no result")
    assert in_working_tree(repository.root).name == at_merge_base(repository.root, "main").name


def test_what_main_did_since_is_not_compared(repository: Repository) -> None:
    fork = repository.git("rev-parse", "--short", "HEAD")
    repository.git("switch", "-qc", "branch")
    repository.commit(notes="on the branch")
    repository.git("switch", "-q", "main")
    repository.write("metrics/gpt2.json", gpt2_metrics([[1, 9], [9, 1]]))
    repository.commit()
    repository.git("switch", "-q", "branch")
    before = at_merge_base(repository.root, "main")
    assert accuracy(before) == 0.75
    assert before.name == f"`{fork}`, the merge base with `main`"


def test_a_project_may_lie_in_a_folder_of_the_repository(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.write("metrics/gpt2.json", gpt2_metrics([[0, 1], [1, 0]]))
    for path, value in (("metrics/gpt2.json", OLD), ("params.yaml", PARAMS)):
        repository.write(f"project/{path}", value)
    repository.commit()
    before = at_merge_base(tmp_path / "project", "main")
    assert accuracy(before) == 0.75
    assert before.params == PARAMS


def test_only_metrics_files_are_metrics(repository: Repository) -> None:
    repository.write("metrics/.gitignore", "/nothing\n")
    repository.write("metrics/deeper/other.json", {})
    repository.commit()
    for results in (at_merge_base(repository.root, "main"), in_working_tree(repository.root)):
        assert list(results.metrics) == ["gpt2"]


def test_what_is_missing_is_empty(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit(notes="no results yet")
    for results in (at_merge_base(tmp_path, "main"), in_working_tree(tmp_path)):
        assert (results.metrics, results.params, results.stages) == ({}, {}, {})
        assert results.test_digest is None
        assert results.stale_parameters() == []


def test_the_lock_file_names_the_test_set(repository: Repository) -> None:
    assert in_working_tree(repository.root).test_digest == "aaaa"


@pytest.mark.parametrize(
    ("params", "stale"),
    [
        (PARAMS, []),
        (PARAMS | {"prepare_more": {"key": 1}}, []),  # no stage reads it
        (PARAMS | {"prepare": {"seed": 1}}, ["prepare.seed"]),
        (PARAMS | {"prepare": {"seed": 123, "new": None}}, ["prepare.new"]),
        (PARAMS | {"finetune": {"epochs": 3}}, ["finetune.epochs", "finetune.learning_rate"]),
    ],
)
def test_parameters_that_no_stage_has_run_with_are_stale(
    repository: Repository, params: dict, stale: list[str]
) -> None:
    repository.write("params.yaml", params)
    assert in_working_tree(repository.root).stale_parameters() == stale


def test_single_keys_of_a_section_are_compared_alone(repository: Repository) -> None:
    locked = lock()
    locked["stages"]["finetune"]["params"] = {"params.yaml": {"finetune.epochs": 5}}
    repository.write("dvc.lock", locked)
    for key, stale in (("learning_rate", []), ("epochs", ["finetune.epochs"])):
        changed = PARAMS["finetune"] | {key: 1}
        repository.write("params.yaml", PARAMS | {"finetune": changed})
        assert in_working_tree(repository.root).stale_parameters() == stale


def test_dvcs_way_to_write_a_small_number_is_a_number(repository: Repository) -> None:
    text = (repository.root / "dvc.lock").read_text().replace("5.0e-05", "5e-05")
    assert "learning_rate: 5e-05" in text
    repository.write("dvc.lock", text)
    assert in_working_tree(repository.root).stale_parameters() == []


def test_a_stage_that_is_gone_from_the_pipeline_counts_for_nothing(repository: Repository) -> None:
    repository.write("params.yaml", PARAMS | {"finetune": {"epochs": 3}})
    repository.write("dvc.yaml", {"stages": {"prepare": PIPELINE["stages"]["prepare"]}})
    results = in_working_tree(repository.root)
    assert list(results.stages) == ["prepare"]
    assert results.stale_parameters() == []


@pytest.mark.parametrize(
    ("path", "content", "message"),
    [
        ("metrics/gpt2.json", "{", "metrics/gpt2.json: cannot be read: Expecting property name"),
        ("metrics/gpt2.json", "[1]", "metrics/gpt2.json: keys with values were expected"),
        ("metrics/gpt2.json", b"\xff\xfe\xff", "metrics/gpt2.json: cannot be read: 'utf"),
        ("params.yaml", "<<<<<<< HEAD\na: 1\n=======\na: 2\n", "params.yaml: cannot be read: "),
        ("dvc.lock", "- 1\n", "dvc.lock: keys with values were expected"),
        (
            "metrics/gpt2.json",
            {"labels": ["ham", "spam"], "confusion": {"test": [[1, 2]]}},
            "metrics/gpt2.json: confusion.test: not a row and a column for each label",
        ),
    ],
)
def test_a_damaged_file_is_named_with_its_revision(
    repository: Repository, path: str, content: object, message: str
) -> None:
    repository.write(path, content)
    with pytest.raises(InputError) as caught:
        in_working_tree(repository.root)
    assert str(caught.value).startswith(message)
    commit = repository.commit()
    with pytest.raises(InputError) as caught:
        at_merge_base(repository.root, "main")
    assert str(caught.value).startswith(f"{commit}:{message}")


@pytest.mark.parametrize("base", ["no-such-branch", "--branches=main", "main:params.yaml", ""])
def test_a_base_that_does_not_exist_is_named(repository: Repository, base: str) -> None:
    with pytest.raises(InputError) as caught:
        at_merge_base(repository.root, base)
    assert str(caught.value) == f"{base}: git knows no such revision"


def test_a_base_without_common_history_is_named(repository: Repository) -> None:
    repository.git("switch", "-q", "--orphan", "stranger")
    repository.commit(notes="another beginning")
    with pytest.raises(InputError, match="main: no commit in common with HEAD; a shallow clone"):
        at_merge_base(repository.root, "main")


def test_a_repository_without_commits_is_said(tmp_path: Path) -> None:
    Repository(tmp_path)
    with pytest.raises(InputError, match="HEAD: git knows no such revision"):
        in_working_tree(tmp_path)


def test_a_folder_without_repository_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(InputError, match="not a git repository"):
        at_merge_base(tmp_path, "main")


def test_a_machine_without_git_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git: no such command"):
        in_working_tree(tmp_path)
