"""The messages of a run as MLflow's data sets: name, digest, source, columns and counts."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spam_gpt2.common.csv_injection import unguard
from spam_gpt2.common.files import read_json
from spam_gpt2.common.project import project_dir

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

SPLIT_PATHS = {
    name: f"data/prepared/{name}.csv" for name in ("train", "validation", "test", "holdout")
}
DATA_PATH = "metrics/data.json"  # how many messages of each class a split has
DIGITS = 12  # of the digest: MLflow takes 36, and shows it beside the name; tags have all 64


def dataset_inputs(root: Path, facts: Mapping[str, str]) -> list[DatasetInput]:
    """A data set for each split that has messages. Of the file, its first line is read.

    Its source is the split's place in the project, where a later execution may have put another:
    the digest tells.

    Args:
        facts: as `provenance.tags` gives them; a split without a digest there is left out.
    """
    from mlflow.data.dataset_source_registry import get_dataset_source_from_json
    from mlflow.data.meta_dataset import MetaDataset
    from mlflow.entities import Dataset, DatasetInput, InputTag

    counts = read_json(root / DATA_PATH)["splits"] if (root / DATA_PATH).is_file() else {}
    inputs = []
    for split, path in SPLIT_PATHS.items():
        profile = counts.get(split, {})
        digest = facts.get(f"data.{split}.sha256")
        if not digest or profile.get("total") == 0:
            continue
        uri = (project_dir(root) / path).absolute().as_uri()
        source = get_dataset_source_from_json(json.dumps({"uri": uri}), "local")
        about = MetaDataset(source, split, digest[:DIGITS], _schema(root / path))
        dataset = Dataset(**about.to_dict(), profile=json.dumps(profile) if profile else None)
        inputs.append(DatasetInput(dataset, [InputTag("mlflow.data.context", split)]))
    return inputs


def _schema(path: Path) -> Any:
    """The columns of a split by its header."""
    from mlflow.types import ColSpec, Schema

    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file), [])
    kinds = {"line": "long"}
    return Schema([ColSpec(kinds.get(name, "string"), unguard(name)) for name in header])
