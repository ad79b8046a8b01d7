"""The benchmarks take long; these tests see that each can begin."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import yaml

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))
OURS = {"spam_gpt2", *(path.stem for path in FILES)}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each import of ours, also of those within functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] in OURS:
            yield from ((node.module, alias.name) for alias in node.names)


def has(module: ModuleType, name: str) -> bool:
    """Whether a module or package has a name or a module of this name."""
    is_package = hasattr(module, "__path__")
    return hasattr(module, name) or (
        is_package and importlib.util.find_spec(f"{module.__name__}.{name}") is not None
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_a_benchmark_imports_of_ours_is_there(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    missing = [
        f"{module}.{name}"
        for module, name in imported(path)
        if not has(importlib.import_module(module), name)
    ]
    assert missing == []


def test_the_copy_in_which_the_pipeline_is_timed_has_all_that_no_stage_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    from workspace import Workspace

    copy = Workspace(tmp_path / "project", checkpoint_dir=None).folder
    stages = yaml.safe_load((copy / "dvc.yaml").read_text(encoding="utf-8"))["stages"].values()
    made = {str(out) for stage in stages for part in ("outs", "metrics", "plots")
            for out in map(path_of, stage.get(part, []))}  # fmt: skip
    needed = {dep for stage in stages for dep in stage["deps"] if "$" not in dep} - made
    missing = {dep for dep in needed if not any(Path(dep).is_relative_to(out) for out in made)
               and not (copy / dep).exists()}  # fmt: skip
    assert missing == set()
    assert "stages/prepare.py" in needed


def path_of(out: str | dict[str, object]) -> str:
    """An output as dvc.yaml writes it, with settings or without."""
    return out if isinstance(out, str) else next(iter(out))
