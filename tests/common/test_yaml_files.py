"""YAML files of the project: what is refused, in a line that says what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.common.yaml_files import read_yaml


def test_an_unresolved_merge_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a:\n<<<<<<< HEAD\n  b: 2\n=======\n  b: 3\n>>>>>>> other\n")
    with pytest.raises(InputError, match="an unresolved merge; keep the lines that you mean"):
        read_yaml(path)


def test_text_that_only_looks_like_a_mark_is_no_merge(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("a: |\n  <<<<<<< HEAD\n  >>>>>>> other\n")
    assert read_yaml(path) == {"a": "<<<<<<< HEAD\n>>>>>>> other\n"}
