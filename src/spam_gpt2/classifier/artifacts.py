"""The trained classifier on disk: the tensors that were trained, and how to put them to use."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.files import InputError, read_json, write_json
from spam_gpt2.gpt2.classifier import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.weights import build_gpt2, load_tensors, save_tensors

CARD_FILE = "classifier.json"
TENSORS_FILE = "classifier.safetensors"


@dataclass(frozen=True)
class Card:
    """Everything but tensors that a trained classifier needs to be loaded again."""

    labels: list[str]
    position: str
    causal: bool
    max_length: int  # tokens
    pad: bool  # whether messages are filled up to max_length
    init: str
    init_seed: int
    trainable: str
    lora_rank: int
    lora_alpha: float
    weights: str  # name of the GPT-2 weights below
    weights_sha256: str
    device: str  # that it was trained on
    precision: str  # that it was trained in, and answers in


def save_classifier(out_dir: Path, classifier: GPT2Classifier, card: Card) -> None:
    """Write the trained tensors and the card, which comes last."""
    save_tensors(out_dir / TENSORS_FILE, trained_tensors(classifier))
    write_json(out_dir / CARD_FILE, asdict(card))


def load_classifier(classifier_dir: Path, weights_dir: Path) -> tuple[GPT2Classifier, Card]:
    """The classifier on memory-mapped weights, with the trained tensors in their places.

    Raises: InputError when the folder holds no classifier, or one trained on other weights.
    """
    card = _read_card(classifier_dir / CARD_FILE)
    _, origin = read_config(weights_dir)
    if origin.sha256 != card.weights_sha256:
        raise InputError(
            f"{classifier_dir}: trained on the weights {card.weights}, but {weights_dir} holds "
            f"other ones ({origin.name}); run `dvc repro`"
        )
    gpt2, _ = build_gpt2(weights_dir, card.init, card.init_seed)
    with torch.device("meta"):
        classifier = GPT2Classifier(gpt2, len(card.labels), card.position, card.causal)
    unfreeze(classifier, card.trainable, card.lora_rank, card.lora_alpha)
    tensors = load_tensors(classifier_dir / TENSORS_FILE)
    _check_tensors(trained_tensors(classifier), tensors, classifier_dir / TENSORS_FILE)
    classifier.load_state_dict(tensors, strict=False, assign=True)
    return classifier.requires_grad_(False).eval(), card


def _read_card(path: Path) -> Card:
    try:
        return Card(**read_json(path))
    except TypeError:
        raise InputError(f"{path}: not a classifier of this version; run `dvc repro`") from None


def _check_tensors(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Nothing that was trained may be missing: what is pretrained would take its place unseen."""
    for name in expected:
        if name not in found:
            raise InputError(f"{path}: no tensor {name}; run `dvc repro`")
    for name, tensor in found.items():
        if name not in expected or expected[name].shape != tensor.shape:
            raise InputError(f"{path}: tensor {name} does not fit the model; run `dvc repro`")
