"""The tutorials' recipe, against a script written anew from its description."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY
from reference import reference_model
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset
from toys import settings, toy_messages

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.files import InputError
from spam_gpt2.features.features import extract_features
from spam_gpt2.gpt2.batching import Messages
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.state import Curves

FILLER = TINY.n_vocab - 1
TRAINABLE = ["last_block", "last_two_blocks", "head_only", "all"]


def padded(messages: Messages, length: int) -> Tensor:
    """(N, length), filled up on the right."""
    rows = torch.full((len(messages.rows), length), FILLER)
    for i, (start, stop) in enumerate(
        zip(messages.offsets[:-1], messages.offsets[1:], strict=True)
    ):
        rows[i, : stop - start] = messages.tokens[start:stop]
    return rows


def flat(rows: Tensor) -> Messages:
    """The same rows as the project keeps them: filler and all."""
    count, length = rows.shape
    return Messages(rows.flatten(), torch.arange(count + 1) * length, torch.arange(count))


Splits = dict[str, tuple[Tensor, Tensor]]


class Script:
    """The tutorials' script on transformers' model: padded, all positions, the last one decides."""

    def __init__(self, gpt2: GPT2, trainable: str, splits: Splits) -> None:
        torch.manual_seed(123)
        self.loaders = {
            "train": DataLoader(TensorDataset(*splits["train"]), 8, shuffle=True, drop_last=True),
            "validation": DataLoader(TensorDataset(*splits["validation"]), 8),
        }
        self.model = reference_model(gpt2)
        torch.manual_seed(123)
        self.head = torch.nn.Linear(TINY.n_embd, 2)
        self.model.requires_grad_(trainable == "all")
        blocks = {"last_block": 1, "last_two_blocks": 2}.get(trainable, 0)
        if blocks:
            self.model.h[-blocks:].requires_grad_(True)
            self.model.ln_f.requires_grad_(True)
        torch.manual_seed(123)
        every = [*self.model.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.AdamW(every, lr=1e-3, weight_decay=0.1)

    def loss(self, tokens: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(tokens), labels)

    def logits(self, tokens: Tensor) -> Tensor:
        return self.head(self.model(tokens).last_hidden_state)[:, -1]

    @torch.no_grad()
    def look(self, split: str) -> tuple[float, float]:
        """Mean loss and accuracy of the first 5 batches of a fresh pass."""
        losses, right, seen = [], 0, 0
        for i, (tokens, labels) in enumerate(self.loaders[split]):
            if i == 5:
                break
            losses.append(self.loss(tokens, labels).item())
            right += int((self.logits(tokens).argmax(1) == labels).sum())
            seen += len(labels)
        return sum(losses) / len(losses), right / seen

    def run(self, epochs: int, accumulation: int) -> tuple[list[tuple], list[tuple]]:
        losses, accuracies, step = [], [], -1
        for _ in range(epochs):
            for i, (tokens, labels) in enumerate(self.loaders["train"]):
                (self.loss(tokens, labels) / accumulation).backward()
                if (i + 1) % accumulation == 0 or i + 1 == len(self.loaders["train"]):
                    self.optimizer.step()
                    self.optimizer.zero_grad()
                step += 1
                if step % 5 == 0:
                    losses.append((step, self.look("train")[0], self.look("validation")[0]))
            accuracies.append((self.look("train")[1], self.look("validation")[1]))
        return losses, accuracies


def ours(gpt2: GPT2, trainable: str, splits: Splits, accumulation: int) -> Curves:
    torch.manual_seed(123)
    classifier = GPT2Classifier(gpt2, 2, "last_padded")
    unfreeze(classifier, trainable, 2, 4.0)
    cut = {"head_only": 3, "last_block": 2, "last_two_blocks": 1, "all": 0}[trainable]
    train, validation = (
        extract_features(classifier, flat(rows), labels, cut, 64)
        for rows, labels in splits.values()
    )
    setting = settings(
        trainable=trainable, recipe="book", batch_size=8, log_every=5, epochs=3,
        accumulation_steps=accumulation,
    )  # fmt: skip
    return finetune(classifier, train, validation, setting)


@pytest.fixture
def splits() -> Splits:
    made = {"train": toy_messages(61, 1), "validation": toy_messages(50, 2)}
    return {name: (padded(messages, 12), labels) for name, (messages, labels) in made.items()}


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_the_losses_are_those_of_the_tutorials_script(
    tiny_gpt2: GPT2, splits: Splits, trainable: str
) -> None:
    losses, accuracies = Script(tiny_gpt2, trainable, splits).run(3, 1)
    curves = ours(tiny_gpt2, trainable, splits, 1)
    assert len(losses) == 5  # after steps 0, 5, 10, 15 and 20 of 3 × 7
    found = [tuple(point.values()) for point in curves.steps]
    assert found == [pytest.approx(row, abs=5e-4) for row in losses]
    found = [tuple(point.values())[1:] for point in curves.epochs]
    assert found == [pytest.approx(row, abs=1e-6) for row in accuracies]


def test_accumulated_batches_are_those_of_the_tutorials_script(
    tiny_gpt2: GPT2, splits: Splits
) -> None:
    losses, _ = Script(tiny_gpt2, "last_block", splits).run(3, 3)
    curves = ours(tiny_gpt2, "last_block", splits, 3)
    found = [tuple(point.values()) for point in curves.steps]
    assert found == [pytest.approx(row, abs=5e-4) for row in losses]


def test_single_messages_accumulated_are_one_batch(tiny_gpt2: GPT2) -> None:
    """8 batches of 1 move the weights as 1 batch of 8 does."""
    messages, labels = toy_messages(16, 3)

    def trained(batch_size: int, accumulation: int) -> Tensor:
        torch.manual_seed(5)
        classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
        unfreeze(classifier, "head_only", 2, 4.0)
        features = extract_features(classifier, messages, labels, 3, 64)
        setting = settings(
            trainable="head_only", batch_size=batch_size, accumulation_steps=accumulation
        )
        finetune(classifier, features, features, setting)
        return classifier.head.weight.detach()

    torch.testing.assert_close(trained(1, 8), trained(8, 1), atol=1e-6, rtol=1e-5)


def test_a_batch_that_is_never_full_is_one_line(tiny_gpt2: GPT2) -> None:
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
    features = extract_features(classifier, *toy_messages(7, 3), 3, 64)
    with pytest.raises(InputError, match=r"finetune\.batch_size: 8 is more than the 7 training"):
        finetune(classifier, features, features, settings(recipe="book", batch_size=8))


def test_an_index_that_is_no_class_changes_no_loss(tiny_gpt2: GPT2) -> None:
    messages, labels = toy_messages(16, 3)

    def curve(ignore_index: int | None) -> list[dict[str, float]]:
        torch.manual_seed(5)
        classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
        unfreeze(classifier, "head_only", 2, 4.0)
        features = extract_features(classifier, messages, labels, 3, 64)
        setting = settings(trainable="head_only", ignore_index=ignore_index)
        return finetune(classifier, features, features, setting).steps

    assert curve(50256) == curve(None)


def test_the_books_recipe_trains_without_validation(tiny_gpt2: GPT2) -> None:
    messages, labels = toy_messages(16, 3)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
    unfreeze(classifier, "head_only", 2, 4.0)
    features = extract_features(classifier, messages, labels, 3, 64)
    curves = finetune(classifier, features, None, settings(trainable="head_only", recipe="book"))
    assert {*curves.steps[0]} == {"step", "train_loss"}
    assert {*curves.epochs[0]} == {"epoch", "train_accuracy"}
