"""What one would run instead: the tutorials' recipe, and how a recipe is timed.

A recipe fine-tunes the same weights on the same messages with the same layers frozen. A step costs
the same at any time, so a few are timed and the whole is counted up from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from spam_gpt2.classifier.lora import add_lora
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable
from spam_gpt2.gpt2.model import GPT2

BATCH_SIZE = 8
EPOCHS = 5
LORA_RANK = 16


@dataclass(frozen=True)
class Data:
    """Token ids of the three splits as lists, and their classes."""

    tokens: dict[str, list[list[int]]]
    labels: dict[str, Tensor]
    filler: int

    def batches(self, split: str) -> int:
        return -(-len(self.tokens[split]) // BATCH_SIZE)


@dataclass(frozen=True)
class Setting:
    """How torch computes what a recipe asks of it."""

    matmul: str = "highest"  # torch's default; "medium" lets oneDNN compute float32 products
    bfloat16: bool = False  # autocast, the way that torch documents
    device: str = "cpu"

    def apply(self) -> None:
        """Set what is global."""
        torch.set_float32_matmul_precision(self.matmul)

    def autocast(self) -> torch.autocast:
        """What the forward pass runs in."""
        return torch.autocast(self.device, torch.bfloat16, enabled=self.bfloat16)


@dataclass(frozen=True)
class StepTimes:
    """Seconds of a training step and of a batch that is only looked at."""

    train: float
    look: float


class PlainRecipe:
    """As GPT-2 tutorials do it: all padded to the longest, every position through everything.

    Every 50 steps 5 batches of train and of validation are looked at, the same at each epoch's end,
    and all three splits once at the end.
    """

    name = "plain recipe"

    def __init__(
        self, gpt2: GPT2, trainable: str, blocks: int, data: Data, setting: Setting
    ) -> None:
        torch.manual_seed(123)
        self.setting = setting
        self.model = GPT2Classifier(gpt2, 2, "last_token").to(setting.device)
        if trainable == "lora":
            add_lora(self.model, LORA_RANK, LORA_RANK)
        else:
            set_trainable(self.model, trainable, blocks)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.1)
        self.data = data
        self.longest = max(map(len, data.tokens["train"]))

    def logits(self, chosen: list[list[int]]) -> Tensor:
        """(B, T) padded to the longest message of train, the output at the last real token."""
        cut = [tokens[: self.longest] for tokens in chosen]
        padded = [tokens + [self.data.filler] * (self.longest - len(tokens)) for tokens in cut]
        tokens, lengths = torch.tensor(padded), torch.tensor([len(tokens) for tokens in cut])
        with self.setting.autocast():
            return self.model(tokens.to(self.setting.device), lengths.to(self.setting.device))

    def looks(self) -> int:
        """Batches that are looked at over the whole of the training."""
        steps = EPOCHS * self.data.batches("train")
        final = sum(self.data.batches(split) for split in self.data.tokens)
        return 10 * (steps // 50) + 10 * EPOCHS + final


class Recipe(Protocol):
    """What timing needs to know of a recipe."""

    data: Data
    setting: Setting
    optimizer: torch.optim.Optimizer

    def logits(self, chosen: list[list[int]]) -> Tensor:
        """(B, K) of a batch of messages."""

    def looks(self) -> int:
        """Batches that are looked at over the whole of the training."""


def time_steps(recipe: Recipe, train_steps: int, looks: int) -> StepTimes:
    """Mean seconds of a few steps on random batches, after one to warm up."""
    order = torch.randperm(len(recipe.data.tokens["train"])).tolist()
    at = 0

    def batch() -> tuple[list[list[int]], Tensor]:
        nonlocal at
        chosen = [order[(at + i) % len(order)] for i in range(BATCH_SIZE)]
        at += BATCH_SIZE
        tokens = recipe.data.tokens["train"]
        return [tokens[i] for i in chosen], recipe.data.labels["train"][chosen]

    def train() -> None:
        tokens, labels = batch()
        recipe.optimizer.zero_grad()
        F.cross_entropy(recipe.logits(tokens), labels.to(recipe.setting.device)).backward()
        recipe.optimizer.step()

    def look() -> None:
        with torch.no_grad():
            tokens, labels = batch()
            F.cross_entropy(recipe.logits(tokens), labels.to(recipe.setting.device)).item()

    return StepTimes(mean_seconds(train, train_steps), mean_seconds(look, looks))


def mean_seconds(action: Callable[[], None], times: int) -> float:
    """Mean wall time of an action, after one call to warm up."""
    action()
    wait()
    began = time.perf_counter()
    for _ in range(times):
        action()
    wait()
    return (time.perf_counter() - began) / times


def wait() -> None:
    """Until a GPU has done all that it was asked for."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def whole_recipe(recipe: Recipe, times: StepTimes) -> float:
    """Seconds of all epochs with their evaluation, counted up from the steps."""
    steps = EPOCHS * recipe.data.batches("train")
    return steps * times.train + recipe.looks() * times.look
