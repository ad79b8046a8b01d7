"""Runs are told apart by what differs from the commit that they started from."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import ROOT
from repository import Repository

from spam_gpt2.tracking.naming import run_name

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))


def changed(**changes: Any) -> dict[str, Any]:
    """params.yaml with other values; `finetune__epochs=1` is the key finetune.epochs."""
    values = copy.deepcopy(PARAMS)
    for name, value in changes.items():
        section, key = name.split("__")
        assert key in values[section]
        values[section][key] = value
    return values


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    repository = Repository(tmp_path)
    repository.commit(params__yaml=PARAMS)
    return repository


@pytest.mark.parametrize(
    ("experiment", "changes", "name"),
    [
        ("", {"finetune__trainable": "lora"}, "lora"),
        ("", {"finetune__seed": 124}, "seed 124"),
        ("short", {"finetune__epochs": 3}, "short: epochs 3"),
        ("lora", {"finetune__trainable": "lora"}, "lora"),
        ("default-seed124", {"finetune__seed": 124}, "default-seed124"),
        ("", {"finetune__learning_rate": 1e-4, "prepare__seed": 7},
         "learning_rate 1e-4, prepare.seed 7"),
        ("", {"prepare__columns": {"label": "v1", "text": "v2"}},
         'prepare.columns.label v1, prepare.columns.text v2'),
        ("x", {"finetune__reuse_frozen": False, "track__enabled": False}, "x"),
    ],
)  # fmt: skip
def test_the_experiment_comes_first_then_what_differs(
    committed: Repository,
    monkeypatch: pytest.MonkeyPatch,
    experiment: str,
    changes: dict[str, Any],
    name: str,
) -> None:
    if experiment:
        monkeypatch.setenv("DVC_EXP_NAME", experiment)
    assert run_name(committed.root, changed(**changes)) == name


def test_what_is_as_committed_has_the_commits_name(committed: Repository) -> None:
    names = set()
    for seed in (123, 124, 125):  # each committed
        commit = committed.commit(params__yaml=changed(finetune__seed=seed))
        name = run_name(committed.root, changed(finetune__seed=seed))
        assert name == f"commit {commit[:7]}"
        names.add(name)
    assert len(names) == 3


def test_an_experiment_differs_from_the_commit_that_it_started_from(
    committed: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = committed.git("rev-parse", "HEAD")
    committed.commit(params__yaml=changed(finetune__epochs=3))
    monkeypatch.setenv("DVC_EXP_BASELINE_REV", start)
    assert run_name(committed.root, changed(finetune__epochs=3)) == "epochs 3"


def test_without_git_the_usual_parameters_are_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for name in ("DVC_EXP_NAME", "DVC_EXP_BASELINE_REV"):
        monkeypatch.delenv(name, raising=False)
    name = run_name(tmp_path, changed(finetune__seed=124))
    assert name == "last_block, learning_rate 5e-5, epochs 5, seed 124"


def test_a_name_is_short_and_tells_no_password(committed: Repository) -> None:
    values = changed(prepare__path="https://me:secret@example.org/messages.csv")
    values["finetune"] |= {"epochs": 1, "seed": 1, "batch_size": 1, "weight_decay": 0.5}
    values["finetune"] |= {"lora_rank": 1, "learning_rate": 1.0}
    name = run_name(committed.root, values)
    assert name.endswith(", 2 more")
    assert "secret" not in name
    assert len(name) < 120
