"""The folders that a finished pipeline leaves, with a tiny model in them."""

from __future__ import annotations

from pathlib import Path

import torch
from conftest import MINI_DIR

from spam_gpt2.classifier.artifacts import Card, save_classifier
from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import save_weights

WEIGHTS_DIR = Path("models/gpt2")
CLASSIFIER_DIR = Path("models/classifier")


def save_trained(root: Path, gpt2: GPT2, **changes: object) -> GPT2Classifier:
    """Write `models/gpt2` and `models/classifier` below `root`; returns the classifier.

    `changes` are fields of the card. What is trainable is moved away from where it started, so
    that a tensor which does not come back shows.
    """
    save_weights(root / WEIGHTS_DIR, gpt2.config, dict(gpt2.named_parameters()), "tiny", MINI_DIR)
    _, origin = read_config(root / WEIGHTS_DIR)
    values = {
        "labels": ["ham", "spam"],
        "position": "last_token",
        "causal": True,
        "max_length": 24,
        "pad": False,
        "init": "pretrained",
        "init_seed": 123,
        "trainable": "last_block",
        "lora_rank": 4,
        "lora_alpha": 8.0,
        "weights": origin.name,
        "weights_sha256": origin.sha256,
        "device": "cpu",
        "precision": "float32",
    }
    card = Card(**values | changes)
    torch.manual_seed(3)
    classifier = GPT2Classifier(gpt2, len(card.labels), card.position, card.causal)
    unfreeze(classifier, card.trainable, card.lora_rank, card.lora_alpha)
    move(classifier)
    save_classifier(root / CLASSIFIER_DIR, classifier, card)
    return classifier.eval()


def move(classifier: GPT2Classifier) -> None:
    """Add noise to all that is trainable, in place of a training."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for tensor in trained_tensors(classifier).values():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.05)
