"""params.yaml is in the form that DVC writes: after an override, only its value differs."""

from __future__ import annotations

import difflib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT
from dvc.utils.hydra import apply_overrides
from dvc.utils.serialize import modify_yaml
from repository import Repository

PARAMS_PATH = ROOT / "params.yaml"


def changes(path: Path) -> list[str]:
    """The lines that differ from the committed file, with their signs, comments cut off."""
    before, after = PARAMS_PATH.read_text("utf-8"), path.read_text("utf-8")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    signed = [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    return [line.partition("#")[0].rstrip() for line in signed]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copyfile(PARAMS_PATH, tmp_path / "params.yaml"))


def test_dvcs_own_modifier_leaves_the_file_as_it_is(copy: Path) -> None:
    with modify_yaml(copy):
        pass
    assert copy.read_bytes() == PARAMS_PATH.read_bytes()


def test_overrides_that_change_nothing_leave_every_value_as_it_is_written(copy: Path) -> None:
    """Whatever its kind: null, a word, a number, a list."""
    values = yaml.safe_load(copy.read_text("utf-8"))
    apply_overrides(copy, [f"finetune.epochs={values['finetune']['epochs']}"])
    assert copy.read_bytes() == PARAMS_PATH.read_bytes()


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("finetune.epochs=3", ["-  epochs: 5", "+  epochs: 3"]),
        ("finetune.learning_rate=1e-4", ["-  learning_rate: 5.0e-5", "+  learning_rate: 0.0001"]),
        ("compute.threads=2", ["-  threads:", "+  threads: 2"]),
        ("classifier.causal=false", ["-  causal: true", "+  causal: false"]),
        ("prepare.labels=[ham,spam]", ["+  - ham", "+  - spam"]),
        ("track.enabled=false", ["-  enabled: true", "+  enabled: false"]),
    ],
)
def test_an_override_changes_its_value_and_no_other_line(
    copy: Path, override: str, expected: list[str]
) -> None:
    apply_overrides(copy, [override])
    assert changes(copy) == expected


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    """DVC's project of one stage, which has our parameters."""
    repository = Repository(tmp_path)
    shutil.copyfile(PARAMS_PATH, tmp_path / "params.yaml")
    stage = {"cmd": "echo", "params": ["finetune.epochs", "finetune.learning_rate"]}
    repository.write("dvc.yaml", {"stages": {"one": stage}})
    dvc(tmp_path, "init", "--quiet")
    repository.commit()
    return repository


def dvc(folder: Path, *words: str) -> str:
    """What a real command prints."""
    environment = os.environ | {"GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"}
    command = [Path(sys.executable).with_name("dvc"), *words]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_after_an_experiment_is_applied_one_line_differs(
    tmp_path: Path, repository: Repository
) -> None:
    dvc(tmp_path, "exp", "run", "--temp", "--name", "short", "-S", "finetune.epochs=3")
    assert changes(tmp_path / "params.yaml") == []
    dvc(tmp_path, "exp", "apply", "short")
    assert changes(tmp_path / "params.yaml") == ["-  epochs: 5", "+  epochs: 3"]


def test_a_search_queues_an_experiment_for_each_value(
    tmp_path: Path, repository: Repository
) -> None:
    values = "finetune.learning_rate=1e-5,5e-5,1e-4"  # as docs/experiments.md has it
    assert values in (ROOT / "docs/experiments.md").read_text(encoding="utf-8")
    dvc(tmp_path, "exp", "run", "--queue", "-S", values)
    queued = repository.git("log", "-g", "--format=%H", "refs/exps/celery/stash").split()
    files = [yaml.safe_load(repository.git("show", f"{commit}:params.yaml")) for commit in queued]
    rates = [float(file["finetune"]["learning_rate"]) for file in files]
    assert sorted(rates) == [1e-5, 5e-5, 1e-4]
