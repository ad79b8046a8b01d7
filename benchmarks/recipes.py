"""What one would run instead: the tutorials' recipe, and a transformers training loop.

Both fine-tune the same weights on the same messages with the same layers frozen. A step costs the
same at any time, so a few are timed and the whole is counted up from them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GPT2Config as HFConfig
from transformers import GPT2ForSequenceClassification

from spam_gpt2.classifier import GPT2Classifier, set_trainable
from spam_gpt2.model import GPT2

BATCH_SIZE = 8
EPOCHS = 5


@dataclass(frozen=True)
class Data:
    """Token ids of the three splits as lists, and their classes."""

    tokens: dict[str, list[list[int]]]
    labels: dict[str, Tensor]
    filler: int

    def batches(self, split: str) -> int:
        return -(-len(self.tokens[split]) // BATCH_SIZE)


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

    def __init__(self, gpt2: GPT2, trainable: str, blocks: int, data: Data) -> None:
        torch.manual_seed(123)
        self.model = GPT2Classifier(gpt2, 2, "last_token")
        set_trainable(self.model, trainable, blocks)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.1)
        self.data = data
        self.longest = max(map(len, data.tokens["train"]))

    def logits(self, chosen: list[list[int]]) -> Tensor:
        """(B, T) padded to the longest message of train, the output at the last real token."""
        cut = [tokens[: self.longest] for tokens in chosen]
        padded = [tokens + [self.data.filler] * (self.longest - len(tokens)) for tokens in cut]
        return self.model(torch.tensor(padded), torch.tensor([len(tokens) for tokens in cut]))

    def looks(self) -> int:
        """Batches that are looked at over the whole of the training."""
        steps = EPOCHS * self.data.batches("train")
        final = sum(self.data.batches(split) for split in self.data.tokens)
        return 10 * (steps // 50) + 10 * EPOCHS + final


class TransformersLoop:
    """`GPT2ForSequenceClassification`, padded to the longest of each batch.

    Validation is looked at after each epoch, and test at the end.
    """

    name = "transformers"

    def __init__(self, gpt2: GPT2, trainable: str, blocks: int, data: Data) -> None:
        torch.manual_seed(123)
        self.model = hf_classifier(gpt2)
        self.data = data
        self.model.requires_grad_(trainable == "all")
        self.model.score.requires_grad_(True)
        if blocks:
            self.model.transformer.ln_f.requires_grad_(True)
            self.model.transformer.h[gpt2.config.n_layer - blocks :].requires_grad_(True)
        trained = [p for p in self.model.parameters() if p.requires_grad]
        self.optimizer = torch.optim.AdamW(trained, lr=5e-5, weight_decay=0.1)

    def logits(self, chosen: list[list[int]]) -> Tensor:
        """(B, K) at the last real token, which transformers finds by the padding's id."""
        longest = max(map(len, chosen))
        padded = [tokens + [self.data.filler] * (longest - len(tokens)) for tokens in chosen]
        mask = [[1] * len(tokens) + [0] * (longest - len(tokens)) for tokens in chosen]
        answer = self.model(torch.tensor(padded), attention_mask=torch.tensor(mask))
        return answer.logits

    def looks(self) -> int:
        """Batches that are looked at over the whole of the training."""
        return EPOCHS * self.data.batches("validation") + self.data.batches("test")


Recipe = PlainRecipe | TransformersLoop


def hf_classifier(gpt2: GPT2) -> GPT2ForSequenceClassification:
    """Our weights in transformers' model; its projections keep (in, out), ours (out, in)."""
    c = gpt2.config
    config = HFConfig(
        vocab_size=c.n_vocab, n_positions=c.n_ctx, n_embd=c.n_embd, n_layer=c.n_layer,
        n_head=c.n_head, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, num_labels=2,
        pad_token_id=c.n_vocab - 1,
    )  # fmt: skip
    model = GPT2ForSequenceClassification(config)
    weights = {}
    for name, tensor in gpt2.state_dict().items():
        is_projection = name.startswith("h.") and ".ln_" not in name and tensor.ndim == 2
        weights[f"transformer.{name}"] = tensor.t() if is_projection else tensor
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert missing == ["score.weight"], missing
    assert not unexpected, unexpected
    return model


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
        F.cross_entropy(recipe.logits(tokens), labels).backward()
        recipe.optimizer.step()

    def look() -> None:
        with torch.no_grad():
            tokens, labels = batch()
            F.cross_entropy(recipe.logits(tokens), labels).item()

    return StepTimes(mean_seconds(train, train_steps), mean_seconds(look, looks))


def mean_seconds(action: Callable[[], None], times: int) -> float:
    """Mean wall time of an action, after one call to warm up."""
    action()
    began = time.perf_counter()
    for _ in range(times):
        action()
    return (time.perf_counter() - began) / times


def whole_training(recipe: Recipe, times: StepTimes) -> float:
    """Seconds of all epochs with their evaluation, counted up from the steps."""
    steps = EPOCHS * recipe.data.batches("train")
    return steps * times.train + recipe.looks() * times.look
