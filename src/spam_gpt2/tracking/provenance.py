"""Where a result comes from: the digests of data and classifier, the commit, the experiment."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from spam_gpt2.common.commands import git
from spam_gpt2.common.files import InputError, sha256_of
from spam_gpt2.tracking.datasets import SPLIT_PATHS

CLASSIFIER_PATHS = (
    "models/classifier/classifier.json",
    "models/classifier/classifier.safetensors",
)


def tags(root: Path, params: dict[str, Any], gpt2: dict[str, Any]) -> dict[str, str]:
    """Where the result comes from: weights, digests, git commit, DVC experiment."""
    values = {
        "weights": gpt2["weights"],
        "weights_sha256": gpt2["weights_sha256"],
        "classifier_sha256": classifier_sha256(root),
        "git_commit": _git_commit(root),
        "dvc_experiment": os.environ.get("DVC_EXP_NAME", ""),
    }
    for name, path in {"messages": params["prepare"]["path"], **SPLIT_PATHS}.items():
        if (root / path).is_file():
            values[f"data.{name}.sha256"] = sha256_of(root / path)
    return {key: value for key, value in values.items() if value}


def classifier_sha256(root: Path) -> str:
    """SHA-256 of the card and the tensors, one after the other; empty when one is missing."""
    digest = hashlib.sha256()
    for path in CLASSIFIER_PATHS:
        if not (root / path).is_file():
            return ""
        with (root / path).open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()


def system_tags(root: Path, params: dict[str, Any], weights: str) -> dict[str, str]:
    """What MLflow's interface shows in places of its own: source, commit and description."""
    values = {
        "mlflow.source.type": "LOCAL",
        "mlflow.source.name": "stages/track.py",
        "mlflow.source.git.commit": _git_commit(root),
    }
    notes = []
    if weights == params["fetch_gpt2"]["fallback"]:
        notes.append(f"Made with the stand-in {weights}: these are no figures of GPT-2.")
    if name := os.environ.get("DVC_EXP_NAME"):
        notes.append(f"`dvc exp apply {name}` brings this result back.")
    values["mlflow.note.content"] = " ".join(notes)
    return {key: value for key, value in values.items() if value}


def _git_commit(root: Path) -> str:
    try:
        return git(root, "rev-parse", "HEAD").decode().strip()
    except InputError:  # no repository, no commit or no git
        return ""
