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
from spam_gpt2.common.console import say, warn
from spam_gpt2.common.files import InputError, read_json, sha256_of, write_json
from spam_gpt2.common.params import Params
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.processes import writes
from spam_gpt2.gpt2.weights import load_tensors, save_tensors
from spam_gpt2.training.state import TrainingState

CHECKPOINT_DIR = Path("models/finetune_checkpoint")
STATE_FILE = "state.json"
# With `all` at 124M a checkpoint has 1.5 GB, and a GPU makes hundreds of steps while it is written.
# So what would take a larger share of the time than this waits, however many steps there were.
SHARE = 0.02
EXPECTED_SPEED = 5e8  # bytes a second, of the first one; then it is measured
PACKAGE_DIR = Path(spam_gpt2.__file__).parent
INPUTS = (
    Path("models/gpt2/config.json"),  # which has the weights' digest
    Path("data/prepared/labels.json"),
    Path("data/features/plan.json"),
    Path("data/features/train.safetensors"),
    Path("data/features/validation.safetensors"),
    Path("stages/finetune.py"),
    *(PACKAGE_DIR / name for name in ("common", "gpt2", "features", "classifier", "training")),
)


class Checkpoints:
    """The last checkpoint of one training; `fingerprint` is all that the training depends on.

    Args:
        every: steps between two of them; an epoch's end makes one, too.
        share: of the time that they may take, at most.
    """

    def __init__(self, folder: Path, fingerprint: str, every: int, share: float = SHARE) -> None:
        self.folder, self.fingerprint, self.every, self.share = folder, fingerprint, every, share
        self.step, self.time = 0, time.monotonic()  # of the last one
        self.cost: float | None = None  # seconds that it took to write
        self.is_possible = True

    def offer(self, state: TrainingState) -> None:
        """Write one if it is due; what cannot be written is told, and training goes on.

        One process writes; all read.
        """
        if not writes() or not self.is_possible or not self.is_due(state):
            return
        began = time.monotonic()
        try:
            self.save(*state.snapshot())
        except (InputError, OSError) as error:
            warn(f"no checkpoints of this training: {error}")
            self.is_possible = False
        self.step, self.time = state.curves.total_steps, time.monotonic()
        self.cost = self.time - began

    def is_due(self, state: TrainingState) -> bool:
        """Whether enough was done since the last one, and enough time spent to afford it."""
        is_at_epochs_end = not state.done
        if not is_at_epochs_end and state.curves.total_steps < self.step + self.every:
            return False
        cost = state.nbytes / EXPECTED_SPEED if self.cost is None else self.cost
        return (time.monotonic() - self.time) * self.share >= cost

    def save(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Write the tensors, then the file that makes them count, then delete what was before."""
        path = self.folder / f"step-{facts['step']}.safetensors"
        save_tensors(path, tensors)
        values = {"fingerprint": self.fingerprint, "file": path.name, "sha256": digest(path, facts)}
        write_json(self.folder / STATE_FILE, values | {"facts": facts})
        for other in self.folder.iterdir():
            if other.name not in (path.name, STATE_FILE):
                other.unlink()

    def resume(self, state: TrainingState) -> None:
        """Go on from the last one, and say so; a training without a usable one starts anew."""
        if found := self.load():
            state.restore(*found)
            self.step = state.curves.total_steps
            say(f"finetune continues after step {self.step}, from {self.folder}")
        elif (self.folder / STATE_FILE).exists():
            say(
                f"finetune starts anew: {self.folder} is damaged, or of other parameters, data or "
                "code"
            )

    def load(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """The last one, if it is whole and of this very training."""
        try:
            found = read_json(self.folder / STATE_FILE)
            path = self.folder / Path(found["file"]).name
            is_ours = found["fingerprint"] == self.fingerprint
            if not is_ours or digest(path, found["facts"]) != found["sha256"]:
                return None
            return load_tensors(path), found["facts"]
        except (InputError, OSError, KeyError, TypeError):
            return None

    def remove(self) -> None:
        """The training is done, and its results are written."""
        shutil.rmtree(self.folder, ignore_errors=True)


def digest(path: Path, facts: dict[str, Any]) -> str:
    """SHA-256 of a file and of what belongs to it."""
    return hashlib.sha256(json.dumps([sha256_of(path), facts]).encode()).hexdigest()


def fingerprint(settings: dict[str, Any], paths: Iterable[Path]) -> str:
    """SHA-256 of settings, of files, of all code in folders, and of torch's version."""
    found = hashlib.sha256(json.dumps([settings, torch.__version__], sort_keys=True).encode())
    for path in paths:
        files = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in files:
            name = file.relative_to(path.parent).as_posix()
            found.update(f"{name} {sha256_of(file)}\n".encode())
    return found.hexdigest()


def checkpoints_of(params: Params, compute: Compute) -> Checkpoints:
    """Those of the stage `finetune`, by all that the bytes of its result depend on."""
    chosen, settings = params.classifier, params.finetune
    made = [chosen.position, chosen.causal, chosen.init, chosen.init_seed]
    facts = {"finetune": settings.model_dump(), "classifier": made}
    facts |= compute.describe() | {"threads": compute.threads, "processes": compute.processes}
    return Checkpoints(CHECKPOINT_DIR, fingerprint(facts, INPUTS), settings.checkpoint_every)
