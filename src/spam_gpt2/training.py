"""Fine-tune what is trainable, on cached features or the plain way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from spam_gpt2.classifier import GPT2Classifier, trained_tensors
from spam_gpt2.console import progress
from spam_gpt2.features import Features, all_logits
from spam_gpt2.params import Finetune

# How a batch becomes logits: `Features.logits`, or `Features.plain_logits` to check it.
Forward = Callable[[Features, GPT2Classifier, Tensor], Tensor]


@dataclass
class Curves:
    """What training recorded, in rows that go to CSV as they are."""

    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)


def finetune(
    classifier: GPT2Classifier, train: Features, validation: Features, settings: Finetune
) -> Curves:
    """AdamW (Loshchilov & Hutter 2019) on the cross-entropy of the classes, in place.

    Batches are drawn without replacement in an order that depends on the seed alone; the last of
    an epoch may be smaller. The loss curve's training value is the mean over the steps since the
    point before, its validation value is over all of validation; accuracy is over all of both.
    """
    forward = Features.logits if settings.reuse_frozen else Features.plain_logits
    generator = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.AdamW(
        trained_tensors(classifier).values(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    curves, recent, step = Curves(), [], 0
    batches = -(-len(train) // settings.batch_size)
    with progress(total=settings.epochs * batches, unit="step", desc="finetune") as bar:
        for epoch in range(1, settings.epochs + 1):
            classifier.train()
            order = torch.randperm(len(train), generator=generator)
            for indices in order.split(settings.batch_size):
                loss = F.cross_entropy(forward(train, classifier, indices), train.labels[indices])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                recent.append(loss.item())
                step += 1
                bar.update()
                if step % settings.log_every == 0:
                    curves.steps.append(_loss_point(classifier, validation, step, recent))
                    bar.set_postfix(loss=f"{curves.steps[-1]['train_loss']:.3f}", refresh=False)
                    recent = []
            curves.epochs.append(_accuracy_point(classifier, train, validation, epoch))
    if recent:
        curves.steps.append(_loss_point(classifier, validation, step, recent))
    return curves


def _loss_point(
    classifier: GPT2Classifier, validation: Features, step: int, recent: list[float]
) -> dict[str, float]:
    logits = all_logits(classifier, validation)
    validation_loss = F.cross_entropy(logits, validation.labels).item()
    return {
        "step": step,
        "train_loss": round(sum(recent) / len(recent), 6),
        "validation_loss": round(validation_loss, 6),
    }


def _accuracy_point(
    classifier: GPT2Classifier, train: Features, validation: Features, epoch: int
) -> dict[str, float]:
    return {
        "epoch": epoch,
        "train_accuracy": round(accuracy(classifier, train), 6),
        "validation_accuracy": round(accuracy(classifier, validation), 6),
    }


def accuracy(classifier: GPT2Classifier, features: Features) -> float:
    """Share of the messages whose most probable class is theirs."""
    predicted = all_logits(classifier, features).argmax(1)
    return (predicted == features.labels).double().mean().item()
