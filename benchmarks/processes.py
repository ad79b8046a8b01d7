"""Messages a second on one process and on two, and how much of twice the one that is.

    python benchmarks/processes.py [--size 124M] [--batch-size 8] [--steps 20] [--repeats 3]

Random weights, and messages as long as those of the SMS Spam Collection. The ways take turns; each
figure is the median of its turns. On a machine with other work they say little.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from invented import CONFIG, invent

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.console import one_line_errors
from spam_gpt2.common.launch import as_worker, is_to_launch, launch
from spam_gpt2.common.params import ComputeSettings, load_params
from spam_gpt2.features.features import BATCH_TOKENS, Features, extract_features
from spam_gpt2.gpt2.batching import pack_messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.processes import writes
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training.allocator import keep_freed_memory
from spam_gpt2.training.loop import backward, move
from spam_gpt2.training.optimizer import AdamW

ROOT = Path(__file__).parent.parent
STAND_IN = replace(CONFIG, n_vocab=4096, n_ctx=512, n_embd=128, n_head=4, n_layer=6)
SIZES = {"stand-in": STAND_IN, "124M": CONFIG}
WAYS = {"1 process, 1 thread": (1, 1), "2 processes, 1 thread each": (2, 1),
        "1 process, 2 threads": (1, 2)}  # fmt: skip
WORKS = ("all", "lora", "features")
TASK = "SPAM_GPT2_BENCHMARK"  # what a process that is started here is to do


def invented_messages(size: str, count: int) -> Features:
    """Messages of random tokens, and nothing computed of them."""
    vocabulary = SIZES[size].n_vocab - 1
    tokens = [[token % vocabulary for token in message] for message in invent(count, 1)]
    messages = pack_messages(tokens, vocabulary, SIZES[size].n_ctx)
    return Features(messages, torch.arange(count) % 2, 0, None, messages.offsets)


def trainer(task: dict, compute: Compute) -> Callable[[], int]:
    """A step of the stage `finetune` on the next batch; it returns how many messages that had."""
    settings = load_params(ROOT / "params.yaml").finetune
    classifier = GPT2Classifier(random_gpt2(SIZES[task["size"]], 1), 2, "last_token")
    unfreeze(classifier, task["work"], settings.lora_rank, settings.lora_alpha)
    compute.place(classifier)
    tensors = trained_tensors(classifier)
    optimizer = AdamW(tensors, settings.learning_rate, settings.weight_decay)
    size = task["batch_size"]
    train = invented_messages(task["size"], size * (task["steps"] + 2))
    batches = iter(torch.arange(len(train)).split(size))
    keep_freed_memory()

    def step() -> int:
        backward(classifier, train, next(batches), settings)
        move(optimizer, tensors)
        return size

    return step


def extractor(task: dict, compute: Compute) -> Callable[[], int]:
    """All blocks but the last for a set of messages, as `extract_features` has them."""
    classifier = GPT2Classifier(random_gpt2(SIZES[task["size"]], 1), 2, "last_token")
    compute.place_frozen(classifier)
    split = invented_messages(task["size"], task["batch_size"] * task["steps"])
    cut = SIZES[task["size"]].n_layer - 1

    def extract() -> int:
        extract_features(classifier, split.messages, split.labels, cut, BATCH_TOKENS)
        return len(split)

    return extract


def measure(task: dict) -> float:
    """Messages a second, after two steps, or one extraction, to warm up."""
    settings = ComputeSettings(device="cpu", precision="float32", threads=task["threads"])
    compute = Compute.start(settings)
    extracts = task["work"] == "features"
    work = (extractor if extracts else trainer)(task, compute)
    for _ in range(1 if extracts else 2):
        work()
    began = time.perf_counter()
    done = sum(work() for _ in range(1 if extracts else task["steps"]))
    return done / (time.perf_counter() - began)


def do(task: dict) -> None:
    """What the process is started for: measure, or start those that do."""
    with as_worker(), one_line_errors(__file__):
        if is_to_launch(task["processes"]):
            launch(task["processes"], __file__)
            return
        rate = measure(task)
        if writes():
            print(rate, flush=True)


def rate_of(task: dict) -> float:
    """Measured by a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__],
        env=os.environ | {TASK: json.dumps(task), "OMP_NUM_THREADS": str(task["threads"])},
        stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="124M")
    parser.add_argument("--batch-size", type=int, default=8, help="messages a step")
    parser.add_argument("--steps", type=int, default=20, help="that are timed")
    parser.add_argument("--repeats", type=int, default=3, help="turns of each way")
    args = parser.parse_args()
    print(f"Messages a second, {args.size}, batches of {args.batch_size}:\n")
    print("| work |", *(f"{way} |" for way in WAYS), "2 processes, of twice the one |")
    print("| --- |", "--: |" * (len(WAYS) + 1))
    for work in WORKS:
        found: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(args.repeats):
            for way, (processes, threads) in WAYS.items():
                task = {"work": work, "processes": processes, "threads": threads}
                found[way].append(rate_of(vars(args) | task))
        rates = [statistics.median(rates) for rates in found.values()]
        efficiency = rates[1] / (2 * rates[0])
        print(
            f"| {work} |", *(f"{rate:.1f} |" for rate in rates), f"{efficiency:.0%} |", flush=True
        )


if __name__ == "__main__":
    do(json.loads(os.environ[TASK])) if TASK in os.environ else main()
