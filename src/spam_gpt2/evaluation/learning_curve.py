"""How many labelled messages it takes: training on a part of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from spam_gpt2.common.files import InputError
from spam_gpt2.common.folding import Fold
from spam_gpt2.common.params import Baseline, Finetune
from spam_gpt2.evaluation.baseline import fit_baseline
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.features.features import Features
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.recipe import accuracy


def stratified_order(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Random order of messages in which any first few hold each class at its share.

    So a smaller training set is part of a larger one, and what a curve shows is the size alone. A
    message at place r of the n of its class goes to (r + 1/2) / n of the way.

    Args:
        labels: class of each message, (N,).

    Returns: indices, (N,).
    """
    places = np.empty(len(labels))
    for k in np.unique(labels):
        members = random.permutation(np.flatnonzero(labels == k))
        places[members] = (np.arange(len(members)) + 0.5) / len(members)
    return places.argsort(kind="stable")


def usable_sizes(sizes: list[int], labels: np.ndarray) -> list[int]:
    """The sizes below that of the whole training set, ascending, and that one.

    Raises InputError when the smallest is too small to hold every class.
    """
    usable = sorted({size for size in sizes if size < len(labels)} | {len(labels)})
    order = stratified_order(labels, np.random.default_rng(0))
    if set(labels) - set(labels[order[: usable[0]]]):
        raise InputError(
            f"params.yaml: learning_curve.sizes: {usable[0]} training messages are too few to "
            "have some of every class"
        )
    return usable


def gpt2_accuracy(
    classifier: GPT2Classifier,
    features: dict[str, Features],
    indices: np.ndarray,
    settings: Finetune,
) -> float:
    """Test accuracy after fine-tuning on the training messages of these indices, in place.

    Args:
        features: of train, validation and test.
        indices: all of them, ascending, train exactly as the stage finetune does.
    """
    train = features["train"].subset(torch.from_numpy(indices))
    finetune(classifier, train, features["validation"], settings)
    return accuracy(classifier, features["test"])


def baseline_accuracy(
    train: pd.DataFrame,
    test: pd.DataFrame,
    labels: list[str],
    settings: Baseline,
    folds: Sequence[Fold] = (),
) -> float:
    """Test accuracy of the baseline, trained on messages (label, text)."""
    model = fit_baseline(train["text"], label_ids(train, labels), settings, folds)
    return float((model.predict(test["text"]) == label_ids(test, labels)).mean())
