"""Fine-tune what is trainable, on cached features or the plain way."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from spam_gpt2.common.console import progress
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, Finetune
from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.processes import share, sum_gradients, summed
from spam_gpt2.training.allocator import keep_freed_memory
from spam_gpt2.training.best import Best
from spam_gpt2.training.checkpoints import Checkpoints
from spam_gpt2.training.optimizer import AdamW
from spam_gpt2.training.recipe import RECIPES, Point, mean_loss
from spam_gpt2.training.state import Curves, TrainingState

NO_INDEX = -100  # torch's own default: no class that the loss leaves out


def finetune(
    classifier: GPT2Classifier,
    train: Features,
    validation: Features | None,
    settings: Finetune,
    checkpoints: Checkpoints | None = None,
    on_row: Callable[[str, Point], None] | None = None,
) -> Curves:
    """AdamW (Loshchilov & Hutter 2019) on the cross-entropy of the classes, in place.

    What is drawn and what the curves show is up to `settings.recipe`. A step is a batch; the
    weights move after every `accumulation_steps` of them, and at an epoch's end, by the mean of
    their gradients. Nothing waits for the device but the points of the curves. The process keeps
    freed memory from here on (`keep_freed_memory`). Without validation nothing is looked at on the
    way and the last epoch is kept: the recipe `own` then trains to the same weights, in less time.
    With `checkpoints` it goes on where it was interrupted, to the same bytes. `on_row` is called
    with the column that each row of a curve goes by, and the row. Several processes share each
    batch, and add up their gradients at each move.

    Raises: InputError when training diverges.
    """
    keep_freed_memory()
    train = train.to(classifier.device)
    validation = None if validation is None else validation.to(classifier.device)
    tensors = trained_tensors(classifier)
    optimizer = AdamW(tensors, settings.learning_rate, settings.weight_decay)
    recipe = RECIPES[settings.recipe](classifier, train, validation, settings)
    keeps_best = settings.keep == "best" and validation is not None
    state = TrainingState(tensors, optimizer, recipe, Best() if keeps_best else None)
    state.curves.on_row = on_row
    if checkpoints:
        checkpoints.resume(state)
    classifier.train()
    with progress(unit="step", desc="finetune", initial=state.curves.total_steps) as bar:
        while state.epoch <= settings.epochs:
            for indices in state.draw():
                bar.total = settings.epochs * len(state.batches)
                loss = backward(classifier, train, indices, settings)
                has_moved = advance(state, loss, settings)
                bar.update()
                show_loss(bar, state.curves)
                if checkpoints and has_moved and state.done < len(state.batches):
                    checkpoints.offer(state)
            if state.best:
                state.best.offer(state.epoch, mean_loss(classifier, validation), tensors)
            state.end_epoch()
            if checkpoints:
                checkpoints.offer(state)
    finish(state)
    return state.curves


def show_loss(bar: tqdm, curves: Curves) -> None:
    """Show the last point of the loss curve, if it has one."""
    if curves.steps:
        bar.set_postfix(loss=f"{curves.steps[-1]['train_loss']:.3f}", refresh=False)


def backward(
    classifier: GPT2Classifier, train: Features, indices: Tensor, settings: Finetune
) -> Tensor:
    """Add the gradients of a batch's mean loss, at its share of a move; returns that loss.

    Of several processes each adds those of its messages, and all return the loss of the batch.
    """
    forward = Features.logits if settings.reuse_frozen else Features.plain_logits
    ignored = NO_INDEX if settings.ignore_index is None else settings.ignore_index
    mine = indices[share(train.messages.lengths[train.messages.rows[indices]])]
    if not len(mine):
        return summed(torch.zeros((), device=classifier.device))
    logits = forward(train, classifier, mine)
    loss = F.cross_entropy(logits, train.labels[mine], ignore_index=ignored)
    loss = loss * (len(mine) / len(indices))
    (loss / settings.accumulation_steps).backward()
    return summed(loss.detach())


def advance(state: TrainingState, loss: Tensor, settings: Finetune) -> bool:
    """Count a step, and move the weights and add to the curve when due; whether they moved."""
    curves = state.curves
    state.done += 1
    curves.total_steps += 1
    is_due = state.done % settings.accumulation_steps == 0 or state.done == len(state.batches)
    if is_due:
        move(state.optimizer, state.tensors)
    if point := state.recipe.loss_point(curves.total_steps, loss):
        require_finite(point.values(), curves.total_steps)
        curves.add(curves.steps, point)
    return is_due


def move(optimizer: AdamW, tensors: dict[str, Tensor]) -> None:
    """Move the weights by their gradients, which all processes add up."""
    sum_gradients(tensors.values())
    optimizer.step()
    optimizer.zero_grad()


def finish(state: TrainingState) -> None:
    """Complete the loss curve, and go back to the best epoch where that is kept.

    Raises: InputError when numbers were lost.
    """
    if point := state.recipe.last_point():
        state.curves.add(state.curves.steps, point)
    # No step's loss has seen what the last one made of the weights.
    sums = [tensor.sum().item() for tensor in state.tensors.values()]
    require_finite([*state.curves.steps[-1].values(), *sums], state.curves.total_steps)
    if best := state.best:
        best.put_back(state.tensors)
        kept = {"kept_epoch": best.epoch, "kept_validation_loss": round(best.loss, 6)}
        state.curves.kept.update(kept)


def require_finite(figures: Iterable[float], step: int) -> None:
    """InputError unless all are numbers: what has diverged gives no more than NaN."""
    if not all(map(math.isfinite, figures)):
        raise InputError(
            f"{PARAMS_PATH}: finetune.learning_rate: training diverges, with no numbers left at "
            f"step {step}; take a lower rate"
        )
