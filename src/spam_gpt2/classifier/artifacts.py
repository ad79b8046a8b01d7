"""The trained classifier on disk: the tensors that were trained, and how to put them to use."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import torch
from pydantic import AfterValidator, Field
from torch import Tensor

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.blocks import trainable_blocks
from spam_gpt2.common.files import InputError, sha256_of, write_json
from spam_gpt2.common.folding import Folds
from spam_gpt2.common.params import Position
from spam_gpt2.common.validation import STRICT, Digest, Float, Labels, Name, Seed, read_checked
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.weights import (
    build_gpt2,
    check_finite,
    load_tensors,
    save_tensors,
    verify_tensors,
)

if TYPE_CHECKING:
    from spam_gpt2.common.params import Params
    from spam_gpt2.features.plan import Plan
    from spam_gpt2.gpt2.compute import Compute
    from spam_gpt2.gpt2.config import Origin

CARD_FILE = "classifier.json"
TENSORS_FILE = "classifier.safetensors"


def _is_known(trainable: str) -> str:
    trainable_blocks(trainable, 10**3)  # how many the model has is checked with its size
    return trainable


Trainable = Annotated[str, Field(max_length=50), AfterValidator(_is_known)]


@dataclass(frozen=True)
class Card:
    """Everything but tensors that a trained classifier needs to be loaded again."""

    __pydantic_config__ = STRICT

    labels: Labels
    position: Position
    causal: bool
    max_length: Annotated[int, Field(ge=1)]  # tokens
    pad: bool  # whether messages are filled up to max_length
    init: Literal["pretrained", "random"]
    init_seed: Seed
    trainable: Trainable
    lora_rank: Annotated[int, Field(ge=1, le=4096)]
    lora_alpha: Annotated[Float, Field(gt=0, le=1e6)]
    weights: Name  # of the GPT-2 below
    weights_sha256: Digest
    device: Literal["cpu", "cuda", "mps"]  # that it was trained on
    precision: Literal["float32", "bfloat16"]  # that it was trained in, and answers in
    fold: Folds = field(default_factory=list)  # what is undone in a text before it is tokenised
    tensors_sha256: Digest = ""  # of the file of tensors; `save_classifier` fills it in

    @classmethod
    def of(
        cls, labels: list[str], params: Params, plan: Plan, origin: Origin, compute: Compute
    ) -> Card:
        """That of a training with these parameters, on features of this plan."""
        chosen, settings = params.classifier, params.finetune
        return cls(
            labels=labels,
            position=chosen.position,
            causal=chosen.causal,
            max_length=plan.max_length,
            pad=plan.pad,
            init=chosen.init,
            init_seed=chosen.init_seed,
            trainable=settings.trainable,
            lora_rank=settings.lora_rank,
            lora_alpha=settings.lora_alpha,
            weights=origin.name,
            weights_sha256=origin.sha256,
            **compute.describe(),
            fold=plan.fold,
        )


def save_classifier(out_dir: Path, classifier: GPT2Classifier, card: Card) -> None:
    """Write the trained tensors and the card, which comes last."""
    tensors = trained_tensors(classifier)
    check_finite(tensors, out_dir / TENSORS_FILE)
    save_tensors(out_dir / TENSORS_FILE, tensors)
    card = replace(card, tensors_sha256=sha256_of(out_dir / TENSORS_FILE))
    write_json(out_dir / CARD_FILE, asdict(card))


def load_classifier(classifier_dir: Path, weights_dir: Path) -> tuple[GPT2Classifier, Card]:
    """The classifier on memory-mapped weights, with the trained tensors in their places.

    Raises: InputError when the folder holds no classifier, or one trained on other weights.
    """
    card_path = classifier_dir / CARD_FILE
    card = read_checked(card_path, Card, "not a classifier of this version")
    if not card.tensors_sha256:  # only a card that is not yet saved may lack it
        raise InputError(
            f"{card_path}: not a classifier of this version: tensors_sha256: is missing; "
            "run `dvc repro`"
        )
    config, origin = read_config(weights_dir)
    if origin.sha256 != card.weights_sha256:
        raise InputError(
            f"{classifier_dir}: trained on the weights {card.weights}, but {weights_dir} holds "
            f"other ones ({origin.name}); run `dvc repro`"
        )
    if card.max_length > config.n_ctx:
        raise InputError(
            f"{card_path}: max_length: {card.max_length} is more than the context of "
            f"{config.n_ctx} tokens; run `dvc repro`"
        )
    gpt2, _ = build_gpt2(weights_dir, card.init, card.init_seed)
    with torch.device("meta"):
        classifier = GPT2Classifier(gpt2, len(card.labels), card.position, card.causal)
    unfreeze(classifier, card.trainable, card.lora_rank, card.lora_alpha)
    tensors = load_tensors(classifier_dir / TENSORS_FILE)
    _check_tensors(trained_tensors(classifier), tensors, classifier_dir / TENSORS_FILE)
    verify_tensors(classifier_dir / TENSORS_FILE, tensors, card.tensors_sha256)
    classifier.load_state_dict(tensors, strict=False, assign=True)
    return classifier.requires_grad_(False).eval(), card


def _check_tensors(expected: dict[str, Tensor], found: dict[str, Tensor], path: Path) -> None:
    """Nothing that was trained may be missing: what is pretrained would take its place unseen."""
    for name in expected:
        if name not in found:
            raise InputError(f"{path}: no tensor {name}; run `dvc repro`")
    for name, tensor in found.items():
        fits = name in expected and expected[name].shape == tensor.shape
        if not fits or tensor.dtype != torch.float32:
            raise InputError(f"{path}: tensor {name} does not fit the model; run `dvc repro`")
