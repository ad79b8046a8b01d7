"""One measurement a process, so that peak memory is its own: prints JSON. `run.py` calls it.

Run in a project folder whose stages prepare and convert_gpt2 have run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from our_training import training_step, whole_training
from recipes import (
    BATCH_SIZE,
    LORA_RANK,
    Data,
    PlainRecipe,
    Recipe,
    Setting,
    mean_seconds,
    time_steps,
    whole_recipe,
)

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.classifier.predict import CLASSIFIER_DIR, Predictor
from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.blocks import trainable_blocks
from spam_gpt2.common.console import peak_memory
from spam_gpt2.common.files import read_json
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.data.messages import read_split
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.features.features import BATCH_TOKENS, Features, all_logits, extract_features
from spam_gpt2.gpt2.batching import Messages, encode_messages
from spam_gpt2.gpt2.compute import DTYPES, Compute
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2, Linear
from spam_gpt2.gpt2.sources import SIZES
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weight_packing import PackedLinear, packing_works
from spam_gpt2.gpt2.weights import load_gpt2, random_gpt2
from spam_gpt2.training.allocator import keep_freed_memory

WEIGHTS_DIR = Path("models/gpt2")
PREPARED_DIR = Path("data/prepared")


def read_data() -> tuple[dict[str, list[str]], dict[str, torch.Tensor]]:
    """Texts and classes of the three splits."""
    labels = read_json(PREPARED_DIR / "labels.json")
    frames = {split: read_split(PREPARED_DIR / f"{split}.csv") for split in SPLITS}
    texts = {split: frame["text"].tolist() for split, frame in frames.items()}
    return texts, {s: torch.tensor(label_ids(f, labels)) for s, f in frames.items()}


def recipe(
    which: str, trainable: str, steps: int, setting: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Seconds of a recipe's whole training, counted up from a few steps."""
    setting = Setting(**setting or {})
    setting.apply()
    gpt2, _ = load_gpt2(WEIGHTS_DIR)
    tokenizer = load_tokenizer(WEIGHTS_DIR)
    texts, labels = read_data()
    tokens = {s: tokenizer.encode_ordinary_batch(t) for s, t in texts.items()}
    data = Data(tokens, labels, gpt2.config.n_vocab - 1)
    blocks = trainable_blocks(trainable, gpt2.config.n_layer)
    kind = PlainRecipe if which == "plain" else transformers_loop()
    made = kind(gpt2, trainable, blocks, data, setting)
    times = time_steps(made, steps, (steps + 1) // 2)
    return {"step": times.train, "look": times.look, "whole": whole_recipe(made, times)}


def transformers_loop() -> type[Recipe]:
    """The other recipe; imported late, since its package would count as memory of all the rest."""
    from transformers_loop import TransformersLoop

    return TransformersLoop


def ours(trainable: str, steps: int, precision: str = "float32") -> dict[str, Any]:
    """Seconds of this project's whole training: features timed whole, steps counted up."""
    compute = start(precision)
    gpt2, _ = load_gpt2(WEIGHTS_DIR)
    tokenizer = load_tokenizer(WEIGHTS_DIR)
    texts, labels = read_data()
    blocks = trainable_blocks(trainable, gpt2.config.n_layer)
    cut = 0 if trainable in ("all", "lora") else gpt2.config.n_layer - blocks
    began = time.perf_counter()
    frozen = GPT2Classifier(gpt2, 2, "last_token")
    compute.place_frozen(frozen)
    features = {
        split: extract_features(
            frozen,
            encode_messages(tokenizer, texts[split], gpt2.config.n_ctx),
            labels[split], cut, BATCH_TOKENS, compute.dtype,
        )
        for split in SPLITS
    }  # fmt: skip
    extraction = time.perf_counter() - began
    classifier = GPT2Classifier(load_gpt2(WEIGHTS_DIR)[0], 2, "last_token")
    unfreeze(classifier, trainable, LORA_RANK, LORA_RANK)
    compute.place(classifier)
    step = time_our_step(classifier, features["train"], steps)
    looks = {split: time_look(classifier, features[split]) for split in SPLITS}
    training = whole_training(len(features["train"]), step, looks)
    return {"features": extraction, "step": step, "whole": extraction + training}


def time_our_step(classifier: GPT2Classifier, train: Features, steps: int) -> float:
    """Mean seconds of a training step on random batches."""
    keep_freed_memory()  # as the stage does
    order = torch.randperm(len(train)).repeat(2)
    batches = iter(order.repeat(1 + steps * BATCH_SIZE // len(order)).split(BATCH_SIZE))
    return mean_seconds(training_step(classifier, train, batches), steps)


def time_look(classifier: GPT2Classifier, features: Features) -> float:
    """Seconds to look at a whole split; a part of it is timed when nothing of it is cached."""
    if features.hidden is not None:
        began = time.perf_counter()
        all_logits(classifier, features)
        return time.perf_counter() - began
    some = torch.arange(min(32, len(features)))
    with torch.inference_mode():
        return (
            mean_seconds(lambda: features.logits(classifier, some), 1) * len(features) / len(some)
        )


def features(size: str, messages: int) -> dict[str, Any]:
    """Seconds of the frozen part of a random model on messages of the training set."""
    classifier = frozen_classifier(random_gpt2(SIZES[size], 1))
    some = distinct_messages(messages)
    before = peak_memory()
    seconds = frozen_seconds(classifier, some)
    return {
        "messages": messages, "tokens": len(some.tokens), "seconds": seconds, "before_mb": before
    }  # fmt: skip


def start(precision: str) -> Compute:
    """Device and kernels as the stages have them."""
    return Compute.start(ComputeSettings(device="cpu", precision=precision, threads=None))


def frozen_classifier(gpt2: GPT2, precision: str = "float32") -> GPT2Classifier:
    """A classifier on these weights, nothing of it trained."""
    classifier = GPT2Classifier(gpt2, 2, "last_token")
    start(precision).place_frozen(classifier)
    return classifier


def distinct_messages(count: int) -> Messages:
    """Messages of the training set, each with a number before it."""
    texts = read_data()[0]["train"]
    repeated = (texts * (1 + count // len(texts)))[:count]
    numbered = [f"{i} {text}" for i, text in enumerate(repeated)]
    return encode_messages(load_tokenizer(WEIGHTS_DIR), numbered, 1024)


def frozen_seconds(classifier: GPT2Classifier, messages: Messages) -> float:
    """Seconds of all blocks but the last."""
    began = time.perf_counter()
    cut = classifier.gpt2.config.n_layer - 1
    extract_features(classifier, messages, torch.zeros(len(messages.rows)), cut, BATCH_TOKENS)
    return time.perf_counter() - began


def frozen_flop(config: GPT2Config, messages: Messages) -> float:
    """Floating-point operations of all blocks but the last: 2 a multiply-add, no padding.

    12 D^2 weights a block touch every token; attention multiplies (T, D) with (D, T) and back.
    """
    lengths = messages.lengths.double()
    a_block = 24 * config.n_embd**2 * lengths.sum() + 4 * config.n_embd * (lengths**2).sum()
    return (config.n_layer - 1) * a_block.item()


def frozen_rate(messages: int, repeats: int, precision: str) -> dict[str, Any]:
    """GFLOP/s of the frozen part and of the fastest product of a block that torch offers.

    They take turns, so that a machine whose speed wanders slows both.
    """
    classifier = frozen_classifier(load_gpt2(WEIGHTS_DIR)[0], precision)
    some = distinct_messages(messages)
    flop = frozen_flop(classifier.gpt2.config, some)
    frozen_seconds(classifier, some)  # to warm up
    rates = []
    for _ in range(repeats):
        rates.append((flop / frozen_seconds(classifier, some), product_rates(precision)))
    best = max(rates[0][1], key=lambda name: statistics.median(p[name] for _, p in rates))
    return {
        "frozen": statistics.median(f for f, _ in rates) / 1e9,
        "products": {
            name: statistics.median(p[name] for _, p in rates) / 1e9 for name in rates[0][1]
        },
        "best": best,
        "share": statistics.median(f / p[best] for f, p in rates),
    }


def product_rates(precision: str) -> dict[str, float]:
    """FLOP/s of (2048, D) by (D, 4D), the largest product of a block, by each of torch's ways."""
    linear = Linear(768, 3072).requires_grad_(False)
    for parameter in linear.parameters():
        torch.nn.init.normal_(parameter)
    linear.compute_in(DTYPES[precision])
    x = torch.randn(2048, 768).to(DTYPES[precision])
    setting = torch.get_float32_matmul_precision()
    ways: dict[str, tuple[str, Callable[[torch.Tensor], torch.Tensor]]] = {
        "torch's default": ("highest", linear)
    }
    if precision == "float32" and setting == "medium":
        ways["oneDNN (medium)"] = ("medium", linear)
    if packing_works(DTYPES[precision]):
        ways["oneDNN, packed weights"] = (setting, PackedLinear(linear))
    rates = {}
    with torch.inference_mode():
        for name, (matmul, way) in ways.items():
            torch.set_float32_matmul_precision(matmul)
            rates[name] = 2 * 2048 * 768 * 3072 / mean_seconds(lambda way=way: way(x), 30)
    torch.set_float32_matmul_precision(setting)
    return rates


def classify(which: str, messages: int, precision: str = "float32") -> dict[str, Any]:
    """Messages a second on the hold-out, start not counted."""
    texts = read_split(PREPARED_DIR / "holdout.csv")["text"].tolist()[:messages]
    settings = ComputeSettings(device="cpu", precision=precision, threads=None)
    predictor = Predictor.load(settings=settings)
    if which == "plain":  # weights as they come, and torch's defaults
        torch.set_float32_matmul_precision("highest")
        plain, _ = load_classifier(CLASSIFIER_DIR, WEIGHTS_DIR)
        predictor = replace(predictor, classifier=plain)
    began = time.perf_counter()
    if which == "ours":
        count = sum(1 for _ in predictor.predict(texts))
    else:
        count = classify_plainly(predictor, texts)
    return {"messages": count, "messages_per_s": count / (time.perf_counter() - began)}


def classify_plainly(predictor: Predictor, texts: list[str]) -> int:
    """As tutorials do: one by one, padded to the longest of train, through everything."""
    train = read_split(PREPARED_DIR / "train.csv")["text"].tolist()
    longest = max(map(len, predictor.tokenizer.encode_ordinary_batch(train)))
    for text in texts:
        tokens = predictor.tokenizer.encode_ordinary(text)[:longest]
        padded = tokens + [predictor.tokenizer.eot_token] * (longest - len(tokens))
        with torch.no_grad():
            predictor.classifier(torch.tensor([padded]), torch.tensor([len(tokens)])).argmax(1)
    return len(texts)


MEASUREMENTS = {
    "recipe": recipe, "ours": ours, "features": features,
    "frozen_rate": frozen_rate, "classify": classify,
}  # fmt: skip


def main() -> None:
    """Run the measurement that the command line names with its arguments, given as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("arguments", type=json.loads, nargs="?", default={})
    args = parser.parse_args()
    result = MEASUREMENTS[args.measurement](**args.arguments)
    print(json.dumps({**result, "peak_mb": peak_memory()}))


if __name__ == "__main__":
    main()
