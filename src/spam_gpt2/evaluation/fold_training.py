"""Train and test on one fold: GPT-2 on its cached features, the baseline on the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from spam_gpt2.common.files import InputError
from spam_gpt2.common.folding import Fold
from spam_gpt2.common.params import Baseline, Finetune
from spam_gpt2.evaluation.baseline import fit_baseline
from spam_gpt2.evaluation.metrics import confusion
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.features.features import Features, class_probabilities, joined
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.training.loop import finetune


def in_order_of_lines(
    frames: Sequence[pd.DataFrame], parts: Sequence[Features], labels: list[str]
) -> tuple[pd.DataFrame, Features]:
    """The messages of all splits and their features, by line: the same however they were split.

    Raises: InputError when features are of other messages.
    """
    messages, features = pd.concat(frames, ignore_index=True), joined(parts)
    if not np.array_equal(label_ids(messages, labels), features.labels.numpy()):
        raise InputError("data/features: not of the messages in data/prepared; run `dvc repro`")
    order = messages["line"].astype(int).argsort(kind="stable").to_numpy()
    places = torch.tensor(order)
    rows = replace(features.messages, rows=features.messages.rows[places])
    features = replace(features, messages=rows, labels=features.labels[places])
    return messages.iloc[order].reset_index(drop=True), features


def gpt2_counts(
    classifier: GPT2Classifier,
    features: Features,
    train: np.ndarray,
    test: np.ndarray,
    settings: Finetune,
) -> np.ndarray:
    """Confusion counts of the test messages, (K, K), after fine-tuning on others, in place.

    Args:
        train, test: positions among the messages of the features.
    """
    finetune(classifier, features.subset(torch.from_numpy(train)), None, settings)
    tested = features.subset(torch.from_numpy(test))
    probabilities = class_probabilities(classifier, tested)
    return confusion(tested.labels.numpy(), probabilities, classifier.head.out_features)


def baseline_counts(
    messages: pd.DataFrame,
    train: np.ndarray,
    test: np.ndarray,
    labels: list[str],
    settings: Baseline,
    folds: Sequence[Fold] = (),
) -> np.ndarray:
    """The same of the baseline.

    Args:
        folds: what is undone in a text before it is read, as `classifier.fold` has it.
    """
    texts, actual = messages["text"].to_numpy(), label_ids(messages, labels)
    model = fit_baseline(texts[train], actual[train], settings, folds)
    return confusion(actual[test], model.predict_proba(texts[test]), len(labels))
