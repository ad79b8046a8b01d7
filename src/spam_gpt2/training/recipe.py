"""What a training draws and looks at: this project's way, or to the draw that of the tutorials."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, Finetune
from spam_gpt2.features.features import Features, all_logits
from spam_gpt2.gpt2.head import GPT2Classifier

Point = dict[str, float]  # a row of a curve's CSV
BOOK_BATCHES = 5  # that a look of the tutorials' takes of a split


class Recipe(Protocol):
    """How a training goes, around the step that all have in common."""

    def batches(self) -> list[Tensor]:
        """Indices of an epoch's batches, in order."""

    def loss_point(self, step: int, loss: Tensor) -> Point | None:
        """Called after each step, counted from 1, with its loss: a point of the curve when due."""

    def accuracy_point(self, epoch: int) -> Point:
        """Called after each epoch, counted from 1."""

    def last_point(self) -> Point | None:
        """Called at the end: what the loss curve still lacks."""

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint must keep of it, besides torch's global generator."""

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        """Take back what `state` gave after a step."""


class OwnRecipe:
    """Draws that depend on `finetune.seed` alone, and curves over whole splits.

    The last batch of an epoch may be smaller. A point's training loss is the mean over the steps
    since the point before; all else is of whole splits. Without validation it looks at none.
    """

    def __init__(
        self,
        classifier: GPT2Classifier,
        train: Features,
        validation: Features | None,
        settings: Finetune,
    ) -> None:
        self.classifier, self.train, self.validation = classifier, train, validation
        self.settings = settings
        self.generator = torch.Generator().manual_seed(settings.seed)
        self.recent: list[Tensor] = []  # losses, left where they were computed
        self.step = 0

    def batches(self) -> list[Tensor]:
        order = torch.randperm(len(self.train), generator=self.generator)
        return list(order.split(self.settings.batch_size))

    def loss_point(self, step: int, loss: Tensor) -> Point | None:
        self.recent.append(loss)
        self.step = step
        return self.last_point() if step % self.settings.log_every == 0 else None

    def last_point(self) -> Point | None:
        if not self.recent:
            return None
        recent, self.recent = torch.stack(self.recent).double().mean().item(), []
        point = {"step": self.step, "train_loss": round(recent, 6)}
        if self.validation is None:
            return point
        return point | {"validation_loss": round(mean_loss(self.classifier, self.validation), 6)}

    def state(self) -> dict[str, Tensor]:
        recent = {"recent": torch.stack(self.recent)} if self.recent else {}
        return {"generator": self.generator.get_state(), **recent}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        self.generator.set_state(tensors["generator"].clone())
        recent = tensors.get("recent")
        self.recent = [] if recent is None else list(recent.to(self.classifier.device))
        self.step = step

    def accuracy_point(self, epoch: int) -> Point:
        if self.validation is None:
            return {"epoch": epoch}
        return {
            "epoch": epoch,
            "train_accuracy": round(accuracy(self.classifier, self.train), 6),
            "validation_accuracy": round(accuracy(self.classifier, self.validation), 6),
        }


class BookRecipe:
    """The draws and looks of Raschka 2024, "Build a Large Language Model (From Scratch)", ch. 6.

    A shuffled loader without an epoch's last, smaller batch. After step 1 and every `log_every`
    further ones, and after each epoch, 5 batches of either split are looked at: the training ones
    come from the same loader, newly shuffled, so looking moves the draws. The global generator is
    seeded again before the first one.
    """

    def __init__(
        self,
        classifier: GPT2Classifier,
        train: Features,
        validation: Features | None,
        settings: Finetune,
    ) -> None:
        if len(train) < settings.batch_size:
            raise InputError(
                f"{PARAMS_PATH}: finetune.batch_size: {settings.batch_size} is more than the "
                f"{len(train)} training messages, and the recipe book leaves out a smaller batch"
            )
        self.classifier, self.settings = classifier, settings
        self.splits = {"train": train}
        size = settings.batch_size
        drawn = DataLoader(torch.arange(len(train)), size, shuffle=True, drop_last=True)
        self.loaders = {"train": drawn}
        if validation is not None:
            self.splits["validation"] = validation
            self.loaders["validation"] = DataLoader(torch.arange(len(validation)), size)
        torch.manual_seed(settings.seed)

    def batches(self) -> list[Tensor]:
        return list(self.loaders["train"])

    def loss_point(self, step: int, loss: Tensor) -> Point | None:
        if (step - 1) % self.settings.log_every:
            return None
        point: Point = {"step": step - 1}  # the script counts from 0
        for split, features in self.splits.items():
            losses = [
                F.cross_entropy(self._logits(split, batch), features.labels[batch]).item()
                for batch in self._look(split)
            ]
            point[f"{split}_loss"] = round(sum(losses) / len(losses), 6)
        return point

    def last_point(self) -> None:
        """The script looks at no more."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, tensors: dict[str, Tensor], step: int) -> None:
        """All its draws come from the global generator."""

    def accuracy_point(self, epoch: int) -> Point:
        point: Point = {"epoch": epoch}
        for split, features in self.splits.items():
            batch = torch.cat(list(self._look(split)))
            right = self._logits(split, batch).argmax(1) == features.labels[batch]
            point[f"{split}_accuracy"] = round(right.double().mean().item(), 6)
        return point

    def _look(self, split: str) -> Iterable[Tensor]:
        return islice(self.loaders[split], BOOK_BATCHES)

    def _logits(self, split: str, batch: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.splits[split].logits(self.classifier, batch)


RECIPES: dict[str, type[Recipe]] = {"own": OwnRecipe, "book": BookRecipe}


def mean_loss(classifier: GPT2Classifier, features: Features) -> float:
    """Cross-entropy, in nats a message."""
    return F.cross_entropy(all_logits(classifier, features), features.labels.cpu()).item()


def accuracy(classifier: GPT2Classifier, features: Features) -> float:
    """Share of the messages whose most probable class is theirs."""
    predicted = all_logits(classifier, features).argmax(1)
    return (predicted == features.labels.cpu()).double().mean().item()
