"""bfloat16 beside float32, from features to answers: classifiers that cannot be told apart."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MINI_DIR
from torch import Tensor
from toys import settings

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.evaluation.comparison import Comparison
from spam_gpt2.features.features import Features, all_logits, extract_features, save_features
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2, gpt2_from_weights
from spam_gpt2.gpt2.tf_checkpoint import read_checkpoint
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.state import Curves

WORDS = {
    0: [
        "home",
        "dinner",
        "later",
        "tomorrow",
        "love",
        "meeting",
        "school",
        "bus",
        "ok",
        "call",
        "win",
    ],
    1: ["free", "prize", "win", "cash", "claim", "call", "urgent", "txt", "reward", "later", "ok"],
}


def invent(count: int, seed: int) -> tuple[list[str], Tensor]:
    """Messages whose words tell their class, though not always."""
    draw = random.Random(seed)
    labels = [draw.randrange(2) for _ in range(count)]
    texts = [" ".join(draw.choices(WORDS[label], k=draw.randint(2, 9))) for label in labels]
    return texts, torch.tensor(labels)


def trained(precision: str, trainable: str) -> tuple[Curves, Tensor, dict[str, Features]]:
    """Features, fine-tuning and the test set's logits, as the stages do it."""
    compute = Compute.start(ComputeSettings(device="cpu", precision=precision, threads=None))
    tokenizer, cut = load_tokenizer(MINI_DIR), 0
    frozen = GPT2Classifier(model(), 2, "last_token")
    if trainable == "last_block":
        cut = frozen.gpt2.config.n_layer - 1
    compute.place_frozen(frozen)
    features = {}
    for split, count, seed in (("train", 160, 1), ("validation", 40, 2), ("test", 300, 3)):
        texts, labels = invent(count, seed)
        messages = encode_messages(tokenizer, texts, 64)
        features[split] = extract_features(frozen, messages, labels, cut, 1024, compute.dtype)
    torch.manual_seed(1)
    classifier = GPT2Classifier(model(), 2, "last_token")
    unfreeze(classifier, trainable, 4, 8.0)
    compute.place(classifier)
    setting = settings(trainable=trainable, batch_size=8, epochs=2, log_every=5)
    curves = finetune(classifier, features["train"], features["validation"], setting)
    return curves, all_logits(classifier, features["test"]), features


@cache
def checkpoint() -> tuple[GPT2Config, dict[str, np.ndarray]]:
    """The stand-in, as TensorFlow reads it."""
    return read_checkpoint(MINI_DIR)


def model() -> GPT2:
    """The stand-in on weights of its own."""
    config, weights = checkpoint()
    return gpt2_from_weights(config, {name: torch.tensor(w) for name, w in weights.items()})


@pytest.mark.parametrize("trainable", ["last_block", "all", "lora"])
def test_bfloat16_trains_a_classifier_that_cannot_be_told_apart(
    trainable: str, tmp_path: Path
) -> None:
    """By McNemar's exact test on 300 messages; losses stay within 0.03 of each other."""
    runs = {name: trained(name, trainable) for name in ("float32", "bfloat16")}
    labels = runs["float32"][2]["test"].labels.numpy()
    right = [logits.argmax(1).numpy() == labels for _, logits, _ in runs.values()]
    assert all(0.7 < np.mean(r) < 1.0 for r in right)
    assert Comparison.of(*right).p_value > 0.05
    losses = [[p["validation_loss"] for p in curves.steps] for curves, *_ in runs.values()]
    np.testing.assert_allclose(*losses, atol=0.03)
    assert losses[0] != losses[1]
    if trainable == "last_block":
        sizes = []
        for name, (*_, features) in runs.items():
            save_features(tmp_path / name, features["train"])
            sizes.append((tmp_path / name).stat().st_size)
        assert sizes[1] < 0.55 * sizes[0]
