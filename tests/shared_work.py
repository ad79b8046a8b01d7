"""Toy trainings and extractions on as many processes as asked for: a program of its own.

PROCESSES=2 RESULT=result.safetensors python tests/shared_work.py
"""

from __future__ import annotations

import json
import os
from itertools import product
from pathlib import Path

import torch
from conftest import TINY
from toys import settings, toy_messages

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.launch import is_to_launch, launch
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.features.features import extract_features
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.processes import collect, own, processes, writes
from spam_gpt2.gpt2.weights import random_gpt2, save_tensors
from spam_gpt2.training.loop import finetune

COMPUTE = {"device": "cpu", "precision": "float32", "threads": 1}
# Of 10 messages: where batches have 3, an epoch's last has 1, fewer than there are processes.
SIZES = {
    "uneven": {"batch_size": 4},
    "one": {"batch_size": 1},
    "waiting": {"batch_size": 3, "accumulation_steps": 2},
}
TRAININGS = [
    *product(("all", "lora", "last_block", "head_only"), SIZES, ("own",), (True,)),
    ("all", "uneven", "book", True),
    ("all", "uneven", "own", False),
]


def train(trainable: str, size: str, recipe: str, reuse: bool) -> tuple[list[dict], torch.Tensor]:
    """The loss of each step and of validation, and all that was trained, end to end."""
    chosen = settings(trainable=trainable, recipe=recipe, reuse_frozen=reuse, epochs=3,
                      log_every=1, **SIZES[size])  # fmt: skip
    torch.manual_seed(chosen.seed)
    classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
    unfreeze(classifier, trainable, chosen.lora_rank, chosen.lora_alpha)
    cut = {"head_only": 3, "last_block": 2}.get(trainable, 0)
    splits = [extract_features(classifier, *toy_messages(n, n), cut, 50) for n in (10, 30)]
    for split in splits:  # each process needs them, as it reads them from the file
        if split.hidden is not None:
            collect(split.hidden, [], everywhere=True)
    curves = finetune(classifier, *splits, chosen)
    tensors = [t.detach().flatten() for t in trained_tensors(classifier).values()]
    return curves.steps + curves.epochs, torch.cat(tensors)


def extract() -> dict[str, torch.Tensor]:
    """What the frozen blocks make, in both precisions, at the last block and at the head."""
    found = {}
    for dtype, cut in product((torch.float32, torch.bfloat16), (2, 3)):
        classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
        features = extract_features(classifier, *toy_messages(70, 5), cut, 40, dtype)
        found[f"{dtype}, {cut}"] = features.hidden
    return found


def main() -> int | None:
    wanted = int(os.environ["PROCESSES"])
    if is_to_launch(wanted):
        return launch(wanted, __file__)
    Compute.start(ComputeSettings(**COMPUTE))
    assert processes() == wanted
    tensors = extract()
    with torch.no_grad():
        tensors["dealt out"] = torch.full((7, 2), -0.0)
        for i in own(range(7)):
            tensors["dealt out"][i] = i if i else -0.0
        collect(tensors["dealt out"], torch.arange(7).split(1))
    traces = {}
    for case in TRAININGS:
        traces[", ".join(map(str, case))], tensors[", ".join(map(str, case))] = train(*case)
    if writes():
        path = Path(os.environ["RESULT"])
        save_tensors(path, tensors)
        path.with_suffix(".json").write_text(json.dumps(traces))
    return None


if __name__ == "__main__":
    run_stage(main, __file__)
