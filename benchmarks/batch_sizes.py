"""Seconds of an epoch by `finetune.batch_size`: it costs what its messages cost.

    python benchmarks/batch_sizes.py

Fine-tunes the last block of a random GPT-2 124M on invented messages with random features.
"""

from __future__ import annotations

import random
import time
from types import SimpleNamespace

import torch
import torch.nn.functional as F

from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.batching import Messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training.allocator import keep_freed_memory

CONFIG = GPT2Config(n_vocab=50257, n_ctx=1024, n_embd=768, n_head=12, n_layer=12)
MESSAGES = 2000
SIZES = (8, 64, 512, 2000)


def invent() -> Features:
    """Messages of mean 31 tokens, and what might enter the last block."""
    draw = random.Random(1)
    lengths = [min(120, max(3, round(draw.gammavariate(4, 7.8)))) for _ in range(MESSAGES)]
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    tokens, rows = torch.zeros(int(offsets[-1]), dtype=torch.int64), torch.arange(MESSAGES)
    hidden = torch.randn(len(tokens), CONFIG.n_embd)
    return Features(Messages(tokens, offsets, rows), rows % 2, 11, hidden, offsets)


def epoch_seconds(features: Features, batch_size: int) -> float:
    """Seconds of all messages once, after a batch to warm up."""
    classifier = GPT2Classifier(random_gpt2(CONFIG, 1), 2, "last_token")
    set_trainable(classifier, "last_block", 1)
    trained = trained_tensors(classifier).values()
    optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.1, fused=True)
    began = 0.0
    for number, indices in enumerate(torch.arange(MESSAGES).repeat(2).split(batch_size)):
        if number * batch_size >= MESSAGES and not began:
            began = time.perf_counter()
        logits = features.logits(classifier, indices)
        F.cross_entropy(logits, features.labels[indices]).backward()
        optimizer.step()
        optimizer.zero_grad()
    return time.perf_counter() - began


def main() -> None:
    """Print the table."""
    Compute.start(SimpleNamespace(device="cpu", precision="float32", threads=None))
    keep_freed_memory()
    features = invent()
    print("| batch size | seconds an epoch | ms a message |\n| --: | --: | --: |")
    for size in SIZES:
        seconds = epoch_seconds(features, size)
        print(f"| {size} | {seconds:.1f} | {1000 * seconds / MESSAGES:.2f} |", flush=True)


if __name__ == "__main__":
    main()
