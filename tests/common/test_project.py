"""A copy that is thrown away knows the project that it was made from."""

from __future__ import annotations

from pathlib import Path

import pytest

from spam_gpt2.common.project import CLONED_FROM, project_dir


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
