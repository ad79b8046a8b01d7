"""Error and seconds of the frozen part by each way to compute it, as a table in Markdown.

    python benchmarks/precision.py

Eleven blocks of a random GPT-2 124M on 64 invented messages, beside the same in float64.
"""

from __future__ import annotations

import copy
import statistics
import time
from types import SimpleNamespace

import torch
from invented import CONFIG, invent
from torch import Tensor

from spam_gpt2.gpt2.compute import Compute, has_bfloat16
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.ragged import runs_of
from spam_gpt2.gpt2.weights import random_gpt2

CUT = CONFIG.n_layer - 1
REPEATS = 5


class Batch:
    """Messages of mean 31 tokens, the longest first, as `token_batches` gives them."""

    def __init__(self) -> None:
        messages = sorted(invent(64, 1), key=len, reverse=True)
        self.runs = runs_of(map(len, messages))
        self.tokens = torch.tensor([token for message in messages for token in message])

    def through(self, classifier: GPT2Classifier) -> Tensor:
        """What enters the last block, (N, D)."""
        with torch.inference_mode():
            return classifier.below(self.tokens, self.runs, CUT)


def measured(name: str, classifier: GPT2Classifier, batch: Batch, exact: Tensor, **how) -> str:
    """A row: the largest error, that as a share of the deviation, and seconds."""
    seconds = []
    with torch.autocast("cpu", torch.bfloat16, enabled=how.get("autocast", False)):
        found = batch.through(classifier)
        for _ in range(REPEATS):
            began = time.perf_counter()
            batch.through(classifier)
            seconds.append(time.perf_counter() - began)
    error = float((found.double() - exact).abs().max())
    share = error / float(exact.std())
    return f"| {name} | {error:.1e} | {share:.1e} | {statistics.median(seconds):.2f} |"


def ways(plain: GPT2Classifier):
    """Every way in turn: its name, the model, and what else it needs."""
    torch.set_float32_matmul_precision("highest")
    yield "float32, torch's default", plain, {}
    settings = SimpleNamespace(device="cpu", precision="float32", threads=None)
    trained, frozen = copy.deepcopy(plain), copy.deepcopy(plain)
    Compute.start(settings).place(trained)
    yield f"float32, as trained here ({torch.get_float32_matmul_precision()})", trained, {}
    Compute.start(settings).place_frozen(frozen)
    yield "float32, as frozen here (packed weights)", frozen, {}
    if has_bfloat16():
        settings = SimpleNamespace(device="cpu", precision="bfloat16", threads=None)
        rounded, packed = copy.deepcopy(plain), copy.deepcopy(plain)
        Compute.start(settings).place(rounded)
        yield "bfloat16, as trained here", rounded, {}
        Compute.start(settings).place_frozen(packed)
        yield "bfloat16, as frozen here (packed weights)", packed, {}
        yield "bfloat16 by torch's autocast", plain, {"autocast": True}


def main() -> None:
    """Print the table."""
    plain = GPT2Classifier(random_gpt2(CONFIG, 1), 2, "last_token").requires_grad_(False)
    batch = Batch()
    exact = batch.through(copy.deepcopy(plain).double())
    print(f"{len(batch.tokens):,} tokens; deviation of the exact result {exact.std():.2f}.\n")
    print("| way | largest error | of the deviation | seconds |\n| --- | --: | --: | --: |")
    for name, classifier, how in ways(plain):
        print(measured(name, classifier, batch, exact, **how), flush=True)


if __name__ == "__main__":
    main()
