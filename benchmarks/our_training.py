"""This project's training as the stage `finetune` does it, for whoever times its steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch.nn.functional as F
from recipes import BATCH_SIZE, EPOCHS
from torch import Tensor

from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.training.loop import move
from spam_gpt2.training.optimizer import AdamW

LOG_EVERY = 25


def training_step(
    classifier: GPT2Classifier, train: Features, batches: Iterator[Tensor]
) -> Callable[[], None]:
    """A step on the next of the batches, which are indices of training messages, (B,) each."""
    tensors = trained_tensors(classifier)
    optimizer = AdamW(tensors, 5e-5, 0.1)

    def step() -> None:
        indices = next(batches)
        loss = F.cross_entropy(train.logits(classifier, indices), train.labels[indices])
        loss.backward()
        move(optimizer, tensors)

    return step


def whole_training(messages: int, step: float, looks: dict[str, float]) -> float:
    """Seconds of all epochs with their evaluation, counted up from a step and looks at splits.

    Args:
        messages: in train.
        step, looks: seconds of a training step, and of the logits of each whole split.
    """
    batches = EPOCHS * -(-messages // BATCH_SIZE)
    curves = batches // LOG_EVERY * looks["validation"]
    accuracies = EPOCHS * (looks["train"] + looks["validation"])
    return batches * step + curves + accuracies + sum(looks.values())
