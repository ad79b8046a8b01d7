"""With `finetune.keep: best` the epoch with the lowest validation loss is what is saved."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY
from torch import Tensor
from toys import settings, toy_messages

from spam_gpt2.features.features import all_logits, extract_features
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.weights import random_gpt2
from spam_gpt2.training.best import Best
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.state import Curves

EPOCHS = 4


def train(recipe: str, epochs: int, keep: str) -> tuple[dict[str, Tensor], float, Curves]:
    """Trained tensors, their validation loss and the curves, at a rate that soon overfits."""
    setting = settings(recipe=recipe, epochs=epochs, keep=keep, learning_rate=0.03)
    torch.manual_seed(setting.seed)
    classifier = GPT2Classifier(random_gpt2(TINY, 1), 2, "last_token")
    set_trainable(classifier, setting.trainable, 1)
    splits = [extract_features(classifier, *toy_messages(n, n), 2, 50) for n in (10, 6)]
    curves = finetune(classifier, *splits, setting)
    loss = F.cross_entropy(all_logits(classifier, splits[1]), splits[1].labels).item()
    return {name: t.detach() for name, t in trained_tensors(classifier).items()}, loss, curves


@pytest.mark.parametrize("recipe", ["own", "book"])
def test_the_best_epoch_is_that_of_trainings_that_end_after_each(recipe: str) -> None:
    after = [train(recipe, epochs, "last") for epochs in range(1, EPOCHS + 1)]
    losses = [loss for _, loss, _ in after]
    first_best = losses.index(min(losses))
    assert first_best < EPOCHS - 1, losses  # else keeping the last would pass, too
    tensors, loss, curves = train(recipe, EPOCHS, "best")
    assert loss == losses[first_best]
    assert all(torch.equal(tensors[name], t) for name, t in after[first_best][0].items())
    kept = {"kept_epoch": first_best + 1, "kept_validation_loss": round(loss, 6)}
    assert curves.kept == kept
    assert curves.steps == after[-1][2].steps  # all epochs were trained, and are shown
    assert after[-1][2].kept == {}


def test_of_equal_epochs_the_first_is_kept_and_a_lost_one_never() -> None:
    best, tensors = Best(), {"head": torch.zeros(1)}
    for epoch, loss in enumerate([0.5, 0.3, float("nan"), 0.3, 0.4], 1):
        tensors["head"].fill_(epoch)
        best.offer(epoch, loss, tensors)
    best.put_back(tensors)
    assert (best.epoch, best.loss, tensors["head"].item()) == (2, 0.3, 2.0)
