"""An experiment's folds, beside those of params.yaml where they are the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from folded import CAUGHT, cross_validation
from rendered import tables

from spam_gpt2.experiments.fold_table import fold_table, write_fold_table
from spam_gpt2.experiments.runner import command
from spam_gpt2.experiments.spec import Experiment

BETTER = (10, 5, 9, 7, 10, 8)


def test_an_experiment_is_run_up_to_its_folds_under_another_name() -> None:
    experiment = Experiment("lora", "g", "", {"finetune.trainable": "lora"})
    line = command(experiment.cross_validated())
    assert line[line.index("--name") + 1] == "lora-cv"
    assert "finetune.trainable=lora" in line
    assert line[-1] == "reports/dvc.yaml:cross_validate"
    assert command(experiment)[-1] == "track"


def test_the_same_folds_are_compared() -> None:
    text = fold_table("lora", cross_validation(BETTER), cross_validation(CAUGHT))
    assert text.startswith("# lora: 6 folds of 180 messages, weights gpt2-mini\n")
    assert "lora is better than params.yaml as it is by the folds: balanced accuracy +4.2" in text
    [found] = tables(text)  # by row, the header among them
    assert "| recall | 81.67 |" in text
    assert "| 73.33 | +8.33 |" in text
    assert len(found) == 1 + 6


@pytest.mark.parametrize("digest", ["ab", "cd", None])
def test_it_is_written_beside_the_folds_of_the_workspace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, digest: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    if digest:
        Path("metrics").mkdir()
        base = json.dumps(cross_validation(digest=digest))
        Path("metrics/cross_validation.json").write_text(base)
    text = write_fold_table("lora", cross_validation(BETTER))
    assert Path("reports/cross_validation_lora.md").read_text() == text
    assert ("params.yaml as it is" in text) == (digest == "ab")
    assert ("`make cv` first" in text) == (digest != "ab")
