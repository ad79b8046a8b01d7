"""Speed on a GPU beside the plain recipe and transformers, as a table in Markdown: see gpu.sh.

Random weights of GPT-2 124M on invented messages as long as those of the SMS Spam Collection. It
needs no data, no weights and no tokenizer.
"""

from __future__ import annotations

import importlib.util
import sys
import time
from types import SimpleNamespace

import torch
from invented import CONFIG, invent
from our_training import training_step, whole_training
from recipes import (
    BATCH_SIZE,
    LORA_RANK,
    Data,
    PlainRecipe,
    Setting,
    mean_seconds,
    time_steps,
    wait,
    whole_recipe,
)

from spam_gpt2.classifier.lora import add_lora
from spam_gpt2.features.features import Features, all_logits, extract_features
from spam_gpt2.gpt2.batching import pack_messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import random_gpt2

SIZES = {"train": 1044, "validation": 149, "test": 302}
HOLDOUT = 4080
BATCH_TOKENS = 16384  # keeps the GPU busy; on a processor 1,024 are enough
STEPS = 20
TRAINABLE = {"last_block": 1, "last_two_blocks": 2, "all": 12, "lora": 12}


def start(precision: str) -> Compute:
    """The device and kernels of the stages."""
    return Compute.start(SimpleNamespace(device="cuda", precision=precision, threads=None))


def classifier_of(gpt2: GPT2, trainable: str) -> GPT2Classifier:
    """What is trained, as `finetune.trainable` names it."""
    classifier = GPT2Classifier(gpt2, 2, "last_token")
    if trainable == "lora":
        add_lora(classifier, LORA_RANK, LORA_RANK)
    else:
        set_trainable(classifier, trainable, TRAINABLE[trainable])
    return classifier


def ours(trainable: str, precision: str, tokens: dict[str, list[list[int]]]) -> tuple[float, float]:
    """Seconds of a whole training, counted up from steps, and the step's."""
    compute = start(precision)
    cut = 0 if trainable in ("all", "lora") else CONFIG.n_layer - TRAINABLE[trainable]
    frozen = GPT2Classifier(random_gpt2(CONFIG, 1), 2, "last_token")
    compute.place_frozen(frozen)
    features = {split: extract(frozen, tokens[split], cut, compute) for split in SIZES}
    wait()
    began = time.perf_counter()
    features = {split: extract(frozen, tokens[split], cut, compute) for split in SIZES}
    wait()
    extraction = time.perf_counter() - began
    classifier = classifier_of(random_gpt2(CONFIG, 1), trainable)
    compute.place(classifier)
    on_device = {split: f.to(compute.device) for split, f in features.items()}
    step = time_step(classifier, on_device["train"])
    looks = {s: mean_seconds(lambda s=s: all_logits(classifier, on_device[s]), 1) for s in SIZES}
    return extraction + whole_training(SIZES["train"], step, looks), step


def extract(model: GPT2Classifier, tokens: list[list[int]], cut: int, compute: Compute) -> Features:
    """What enters block `cut` for each message."""
    messages = pack_messages(tokens, 50256, CONFIG.n_ctx)
    labels = torch.arange(len(tokens)) % 2
    return extract_features(model, messages, labels, cut, BATCH_TOKENS, compute.dtype)


def time_step(classifier: GPT2Classifier, train: Features) -> float:
    """Mean seconds of a training step on random batches."""
    batches = iter(torch.randperm(len(train)).repeat(STEPS).split(BATCH_SIZE))
    step = training_step(classifier, train, batches)
    mean_seconds(step, 3)
    return mean_seconds(step, STEPS)


def recipe_seconds(name: str, trainable: str, tokens: dict, setting: Setting) -> float:
    """Seconds of a recipe's whole training."""
    kind = PlainRecipe
    if name == "transformers":
        from transformers_loop import TransformersLoop as kind  # noqa: N813
    labels = {split: torch.arange(len(t)) % 2 for split, t in tokens.items()}
    data = Data(tokens, labels, CONFIG.n_vocab - 1)
    made = kind(random_gpt2(CONFIG, 1), trainable, TRAINABLE[trainable], data, setting)
    return whole_recipe(made, time_steps(made, STEPS, STEPS))


def rates(precision: str) -> str:
    """A row: the frozen part beside the plain product, and classified messages a second."""
    compute = start(precision)
    model = GPT2Classifier(random_gpt2(CONFIG, 1), 2, "last_token")
    compute.place_frozen(model)
    tokens = invent(HOLDOUT, 3)
    count = sum(map(len, tokens))
    x = torch.randn(BATCH_TOKENS, 768, device="cuda", dtype=compute.dtype)
    w = torch.randn(768, 3072, device="cuda", dtype=compute.dtype)
    product = 2 * BATCH_TOKENS * 768 * 3072 / mean_seconds(lambda: x @ w, 50)
    seconds = mean_seconds(lambda: extract(model, tokens, CONFIG.n_layer - 1, compute), 3)
    frozen = 24 * CONFIG.n_embd**2 * (CONFIG.n_layer - 1) * count / seconds
    whole = extract(model, tokens, 0, compute).to(compute.device)
    classified = HOLDOUT / mean_seconds(lambda: all_logits(model, whole), 3)
    return (
        f"| {precision} | {product / 1e12:.1f} | {frozen / 1e12:.1f} ({frozen / product:.0%}) "
        f"| {count / seconds:,.0f} | {classified:,.0f} |"
    )


def main() -> None:
    """Print both tables."""
    names = ["plain"]
    if importlib.util.find_spec("transformers"):
        names.append("transformers")
    print(f"# On {torch.cuda.get_device_name()}, torch {torch.__version__}\n")
    print("Seconds for 5 epochs of GPT-2 124M with random weights on invented messages, and in")
    print("brackets how many times longer than this project in the same precision.\n")
    print("| precision | trainable | this project | ms a step |", " | ".join(names), "| memory |")
    print("| --- | --- | --: | --: |" + " --: |" * (len(names) + 1))
    tokens = {split: invent(size, i) for i, (split, size) in enumerate(SIZES.items())}
    for precision in ("float32", "bfloat16"):
        setting = Setting(bfloat16=precision == "bfloat16", device="cuda")
        for trainable in TRAINABLE:
            torch.cuda.reset_peak_memory_stats()
            whole, step = ours(trainable, precision, tokens)
            memory = torch.cuda.max_memory_allocated() >> 20
            cells = []
            for name in names:
                if (name, trainable) == ("transformers", "lora"):
                    cells.append("–")
                    continue
                seconds = recipe_seconds(name, trainable, tokens, setting)
                cells.append(f"{seconds:.1f} ({seconds / whole:.1f}×)")
            row = [precision, trainable, f"{whole:.1f}", f"{1000 * step:.1f}", *cells]
            print(f"| {' | '.join(row)} | {memory:,} MB |", flush=True)
    print("\n| precision | product, TFLOP/s | frozen part, TFLOP/s | tokens/s | messages/s |")
    print("| --- | --: | --: | --: | --: |")
    for precision in ("float32", "bfloat16"):
        print(rates(precision), flush=True)


if __name__ == "__main__":
    sys.exit(main())
