"""Where an interrupted training goes on: tensors as safetensors, the rest as JSON."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import spam_gpt2
from spam_gpt2.common.console import say
from spam_gpt2.common.files import InputError, read_json, sha256_of, write_json
from spam_gpt2.common.params import Params
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.weights import load_tensors, save_tensors

CHECKPOINT_DIR = Path("models/finetune_checkpoint")
SECONDS = 120.0  # between two checkpoints; with `all` at 124M, one is 1.5 GB
STATE_FILE = "state.json"
PACKAGES = ("common", "gpt2", "features", "classifier", "training")
INPUTS = (
    Path("models/gpt2/config.json"),  # which has the weights' digest
    Path("data/prepared/labels.json"),
    *(
        Path("data/features") / name
        for name in ("plan.json", "train.safetensors", "validation.safetensors")
    ),
    *(Path(spam_gpt2.__file__).parent / package for package in PACKAGES),
)


class Checkpoints:
    """The last checkpoint of one training; `fingerprint` is all that the training depends on."""

    def __init__(self, folder: Path, fingerprint: str, seconds: float = SECONDS) -> None:
        self.folder, self.fingerprint, self.seconds = folder, fingerprint, seconds
        self.saved = time.monotonic()

    def is_due(self) -> bool:
        """Whether the last one is old."""
        return time.monotonic() - self.saved >= self.seconds

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the tensors, then the file that makes them count, then delete what was before."""
        name = f"step-{facts['step']}.safetensors"
        save_tensors(self.folder / name, tensors)
        digest = sha256_of(self.folder / name)
        values = {"fingerprint": self.fingerprint, "file": name, "sha256": digest, **facts}
        write_json(self.folder / STATE_FILE, values)
        for path in self.folder.glob("*.safetensors"):
            if path.name != name:
                path.unlink()
        self.saved = time.monotonic()

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last one, if it is whole and of this very training."""
        try:
            facts = read_json(self.folder / STATE_FILE)
            if facts["fingerprint"] != self.fingerprint:
                return None
            path = self.folder / Path(facts["file"]).name
            if sha256_of(path) != facts["sha256"]:
                return None
            tensors = load_tensors(path)
        except (InputError, OSError, KeyError, TypeError):
            return None
        say(f"finetune continues after step {facts['step']}, from {self.folder}")
        return tensors, facts

    def remove(self) -> None:
        """The training is done."""
        shutil.rmtree(self.folder, ignore_errors=True)


def fingerprint(settings: dict[str, Any], paths: Iterable[Path]) -> str:
    """SHA-256 of settings, of the files, of all files in folders, and of torch's version."""
    digest = hashlib.sha256(json.dumps([settings, torch.__version__], sort_keys=True).encode())
    for path in paths:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            digest.update(f"{file.name} {sha256_of(file)}\n".encode())
    return digest.hexdigest()


def checkpoints_of(params: Params, compute: Compute) -> Checkpoints:
    """Those of the stage `finetune`, by all that the bytes of its result depend on."""
    chosen = params.classifier
    made = [chosen.position, chosen.causal, chosen.init, chosen.init_seed]
    settings = {"finetune": params.finetune.model_dump(), "classifier": made}
    facts = settings | compute.describe() | {"threads": compute.threads}
    return Checkpoints(CHECKPOINT_DIR, fingerprint(facts, INPUTS))
