"""The benchmarks take long; these tests see that each can begin, and one come to its end."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
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


def test_what_is_said_of_two_precisions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    lines = importlib.import_module("precisions_agree").lines
    messages = pd.DataFrame({"line": range(4), "label": ["ham", "ham", "spam", "spam"], "text": ""})
    first = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.3, 0.7]])
    second = np.array([[0.9, 0.1], [0.8, 0.2], [0.6, 0.4], [0.3, 0.7]])
    said = list(lines([(messages, first), (messages, second)], ["ham", "spam"]))
    assert said[:3] == [
        "float32: accuracy 1.0000",
        "bfloat16: accuracy 0.7500",
        "Probabilities differ by 5.0e-02 in the mean, 2.0e-01 at most.",
    ]
    assert said[3].startswith("No difference between float32 and bfloat16 can be shown on 4 test")
