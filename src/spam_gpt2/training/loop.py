"""Fine-tune what is trainable, on cached features or the plain way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from spam_gpt2.common.console import progress
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, Finetune
from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.training.allocator import keep_freed_memory
from spam_gpt2.training.checkpoints import Checkpoints
from spam_gpt2.training.optimizer import AdamW
from spam_gpt2.training.recipe import RECIPES, Point, Recipe

# How a batch becomes logits: `Features.logits`, or `Features.plain_logits` to check it.
Forward = Callable[[Features, GPT2Classifier, Tensor], Tensor]

NO_INDEX = -100  # torch's own default: no class that the loss leaves out


@dataclass
class Curves:
    """What training recorded, in rows that go to CSV as they are."""

    steps: list[Point] = field(default_factory=list)
    epochs: list[Point] = field(default_factory=list)
    total_steps: int = 0


def finetune(
    classifier: GPT2Classifier,
    train: Features,
    validation: Features,
    settings: Finetune,
    checkpoints: Checkpoints | None = None,
) -> Curves:
    """AdamW (Loshchilov & Hutter 2019) on the cross-entropy of the classes, in place.

    What is drawn and what the curves show is up to `settings.recipe`. A step is a batch; the
    weights move after every `accumulation_steps` of them, and at an epoch's end, by the mean of
    their gradients. Nothing waits for the device but the points of the curves. The process keeps
    freed memory from here on (`keep_freed_memory`). With `checkpoints` it goes on where it was
    interrupted, to the same bytes.

    Raises: InputError when training diverges.
    """
    keep_freed_memory()
    train, validation = train.to(classifier.device), validation.to(classifier.device)
    forward = Features.logits if settings.reuse_frozen else Features.plain_logits
    ignored = NO_INDEX if settings.ignore_index is None else settings.ignore_index
    tensors = trained_tensors(classifier)
    optimizer = AdamW(tensors, settings.learning_rate, settings.weight_decay)
    recipe = RECIPES[settings.recipe](classifier, train, validation, settings)
    curves, place = Curves(), Place()
    if checkpoints and (found := checkpoints.load()):
        place = restore(*found, tensors, optimizer, recipe, curves)
    classifier.train()
    with progress(unit="step", desc="finetune") as bar:
        bar.update(curves.total_steps)
        for epoch in range(place.epoch, settings.epochs + 1):
            batches = place.batches or recipe.batches()
            bar.total = settings.epochs * len(batches)
            done, place = place.done, Place()
            for number, indices in enumerate(batches[done:], done + 1):
                logits = forward(train, classifier, indices)
                loss = F.cross_entropy(logits, train.labels[indices], ignore_index=ignored)
                (loss / settings.accumulation_steps).backward()
                if number % settings.accumulation_steps == 0 or number == len(batches):
                    optimizer.step()
                    optimizer.zero_grad()
                curves.total_steps += 1
                bar.update()
                if point := recipe.loss_point(curves.total_steps, loss.detach()):
                    require_finite(point.values(), curves.total_steps)
                    curves.steps.append(point)
                    bar.set_postfix(loss=f"{point['train_loss']:.3f}", refresh=False)
                moved = number % settings.accumulation_steps == 0
                if checkpoints and moved and number < len(batches) and checkpoints.is_due():
                    here = Place(epoch, number, batches)
                    checkpoints.save(*snapshot(here, tensors, optimizer, recipe, curves))
            curves.epochs.append(recipe.accuracy_point(epoch))
    if point := recipe.last_point():
        curves.steps.append(point)
    # No step's loss has seen what the last one made of the weights.
    sums = [tensor.sum().item() for tensor in trained_tensors(classifier).values()]
    require_finite([*curves.steps[-1].values(), *sums], curves.total_steps)
    if checkpoints:
        checkpoints.remove()
    return curves


@dataclass
class Place:
    """Where in a training: how many of an epoch's batches are done."""

    epoch: int = 1
    done: int = 0
    batches: list[Tensor] = field(default_factory=list)  # none: still to draw


def snapshot(
    place: Place,
    tensors: dict[str, Tensor],
    optimizer: AdamW,
    recipe: Recipe,
    curves: Curves,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """All that the rest of a training depends on: tensors by name, and what goes to JSON."""
    groups = {
        "model": tensors,
        "optimizer": optimizer.state_tensors(),
        "recipe": recipe.state(),
        "place": {"order": torch.cat(place.batches), "generator": torch.get_rng_state()},
    }
    flat = {f"{group}:{name}": t for group, named in groups.items() for name, t in named.items()}
    sizes = [len(batch) for batch in place.batches]
    facts = {"step": curves.total_steps, "epoch": place.epoch, "done": place.done, "sizes": sizes}
    return flat, facts | {"steps": curves.steps, "epochs": curves.epochs}


def restore(
    flat: dict[str, Tensor],
    facts: dict[str, Any],
    tensors: dict[str, Tensor],
    optimizer: AdamW,
    recipe: Recipe,
    curves: Curves,
) -> Place:
    """Put back what `snapshot` gave."""
    groups: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "recipe": {}, "place": {}}
    for key, tensor in flat.items():
        group, _, name = key.partition(":")
        groups[group][name] = tensor
    with torch.no_grad():
        for name, tensor in tensors.items():
            tensor.copy_(groups["model"][name])
    optimizer.load_state(groups["optimizer"])
    recipe.load_state(groups["recipe"], facts["step"])
    torch.set_rng_state(groups["place"]["generator"].clone())
    curves.steps, curves.epochs = facts["steps"], facts["epochs"]
    curves.total_steps = facts["step"]
    batches = list(groups["place"]["order"].split(facts["sizes"]))
    return Place(facts["epoch"], facts["done"], batches)


def require_finite(figures: Iterable[float], step: int) -> None:
    """InputError unless all are numbers: what has diverged gives no more than NaN."""
    if not all(map(math.isfinite, figures)):
        raise InputError(
            f"{PARAMS_PATH}: finetune.learning_rate: training diverges, with no numbers left at "
            f"step {step}; take a lower rate"
        )
