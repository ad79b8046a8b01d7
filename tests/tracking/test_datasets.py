"""The splits become MLflow's data sets without a word to the terminal."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import pytest

from spam_gpt2.tracking.datasets import dataset_inputs

SPLITS = ("train", "validation", "test", "holdout")


def test_splits_with_messages_are_data_sets_and_mlflow_warns_of_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    for split in SPLITS:
        path = tmp_path / f"data/prepared/{split}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("line,label,text\n")
    counts = {split: {"total": 4} for split in SPLITS[:3]} | {"holdout": {"total": 0}}
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics/data.json").write_text(json.dumps({"splits": counts}))
    facts = {f"data.{split}.sha256": split[0] * 64 for split in SPLITS}
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        inputs = dataset_inputs(tmp_path, facts)
    assert [each.dataset.name for each in inputs] == ["train", "validation", "test"]
    train = inputs[0].dataset
    assert (train.digest, train.source_type) == ("t" * 12, "local")
    assert json.loads(train.source)["uri"] == (tmp_path / "data/prepared/train.csv").as_uri()
