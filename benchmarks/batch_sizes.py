"""Seconds of an epoch by `finetune.batch_size`: it costs what its messages cost.

    python benchmarks/batch_sizes.py

Fine-tunes the last block of a random GPT-2 124M on invented messages with random features.
"""

from __future__ import annotations

import time
from types import SimpleNamespace

import torch
from invented import CONFIG, invent
from our_training import training_step

from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.batching import pack_messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training.allocator import keep_freed_memory

MESSAGES = 2000
SIZES = (8, 64, 512, 2000)


def invented_features() -> Features:
    """Messages, and what might enter the last block."""
    messages = pack_messages(invent(MESSAGES, 1), CONFIG.n_vocab - 1, CONFIG.n_ctx)
    hidden = torch.randn(len(messages.tokens), CONFIG.n_embd)
    return Features(messages, torch.arange(MESSAGES) % 2, 11, hidden, messages.offsets)


def epoch_seconds(features: Features, batch_size: int, compute: Compute) -> float:
    """Seconds of all messages once, after a batch to warm up."""
    classifier = GPT2Classifier(random_gpt2(CONFIG, 1), 2, "last_token")
    set_trainable(classifier, "last_block", 1)
    compute.place(classifier)
    batches = torch.arange(MESSAGES).split(batch_size)
    step = training_step(classifier, features, iter(batches * 2))
    step()
    began = time.perf_counter()
    for _ in batches:
        step()
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    compute = Compute.start(SimpleNamespace(device="cpu", precision="float32", threads=None))
    keep_freed_memory()
    features = invented_features()
    print("| batch size | seconds an epoch | ms a message |\n| --: | --: | --: |")
    for size in SIZES:
        seconds = epoch_seconds(features, size, compute)
        print(f"| {size} | {seconds:.1f} | {1000 * seconds / MESSAGES:.2f} |", flush=True)


if __name__ == "__main__":
    main()
