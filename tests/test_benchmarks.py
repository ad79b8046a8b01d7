"""The benchmarks take long; this test sees that each can begin."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from conftest import ROOT
from source_code import parse

FOLDER = ROOT / "benchmarks"
FILES = sorted(FOLDER.glob("*.py"))
OURS = {"spam_gpt2", *(path.stem for path in FILES)}


def imported(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each import of ours, also of those within functions."""
    for node in ast.walk(parse(path)):
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
