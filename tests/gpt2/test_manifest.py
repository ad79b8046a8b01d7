"""The manifest: only the very files that it names are taken for the checkpoint."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.common.project import CLONED_FROM
from spam_gpt2.gpt2.layouts import OPENAI
from spam_gpt2.gpt2.manifest import CHECKPOINT_DIR, MANIFEST_PATH, find_checkpoint, write_manifest
from spam_gpt2.gpt2.tf_checkpoint import OPENAI_FILES


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with seven small files and their manifest."""
    folder = tmp_path / "project"
    (folder / CHECKPOINT_DIR).mkdir(parents=True)
    for file in OPENAI_FILES:
        (folder / CHECKPOINT_DIR / file).write_text(f"content of {file}")
    (folder / CHECKPOINT_DIR / "origin.json").write_text('{"name": "gpt2-124M"}')
    monkeypatch.chdir(folder)
    for name in ("DVC_ROOT", CLONED_FROM):
        monkeypatch.delenv(name, raising=False)
    write_manifest()
    return folder


def test_it_names_the_weights_and_the_digest_of_every_file(project: Path) -> None:
    manifest = json.loads((project / MANIFEST_PATH).read_text())
    assert manifest["name"] == "gpt2-124M"
    assert manifest["sha256"] == {
        file: hashlib.sha256(f"content of {file}".encode()).hexdigest() for file in OPENAI_FILES
    }


def test_the_checkpoint_is_found(project: Path) -> None:
    assert find_checkpoint() == (CHECKPOINT_DIR, "gpt2-124M", OPENAI)


@pytest.mark.parametrize("file", OPENAI_FILES)
def test_another_file_is_refused_by_name(project: Path, file: str) -> None:
    (CHECKPOINT_DIR / file).write_text("something else")
    with pytest.raises(InputError, match=f"{file}: not the file that .*fetch it again"):
        find_checkpoint()
    (CHECKPOINT_DIR / file).unlink()
    with pytest.raises(InputError, match=f"{file}: no such file; fetch it again"):
        find_checkpoint()


def test_an_experiment_finds_it_in_the_project_that_it_was_made_from(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "experiment"
    (temporary / MANIFEST_PATH).parent.mkdir(parents=True)
    shutil.copyfile(project / MANIFEST_PATH, temporary / MANIFEST_PATH)
    monkeypatch.chdir(temporary)
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert find_checkpoint() == (project / CHECKPOINT_DIR, "gpt2-124M", OPENAI)


def test_an_experiments_own_checkpoint_goes_first(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "experiment"
    shutil.copytree(project, temporary)
    (project / CHECKPOINT_DIR / "hparams.json").write_text("of another size")
    monkeypatch.chdir(temporary)
    monkeypatch.setenv("DVC_ROOT", str(project))
    assert find_checkpoint()[0] == CHECKPOINT_DIR
