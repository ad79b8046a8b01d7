"""The files that an evaluation leaves behind, the same for GPT-2 and for the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spam_gpt2.common.files import write_csv, write_json
from spam_gpt2.common.params import Evaluate
from spam_gpt2.common.text import plot_text
from spam_gpt2.evaluation.curves import save_threshold_curves
from spam_gpt2.evaluation.intervals import share_interval
from spam_gpt2.evaluation.metrics import (
    classification_metrics,
    confidence_intervals,
    confusion,
)
from spam_gpt2.evaluation.predictions import Predicted, label_ids, predictions_table
from spam_gpt2.figures.confusion import confusion_title, save_confusion_matrix
from spam_gpt2.figures.style import MODELS


def write_evaluation(
    name: str,
    model: dict[str, Any],
    splits: dict[str, Predicted],
    labels: list[str],
    settings: Evaluate,
    campaigns: pd.DataFrame,
) -> None:
    """Write metrics, confusion matrices, curves and predictions of the splits.

    Into `metrics/<name>.json`, `plots/<name>/` and `data/predictions/<name>/`. The metrics file
    also holds the counts of the matrices (rows true, columns predicted, in the order of `labels`):
    it is in git, so that two revisions can be compared without the pipeline's outputs.

    Args:
        name: `gpt2` or `baseline`.
        model: what made the predictions, for the head of the metrics file; its first value stands
            below the pictures' titles.
        campaigns: as `prepare` writes them.
        splits: train, validation and test; the test figures come with intervals, and beside them
            the accuracy without leak.
    """
    note = next(iter(model.values()))
    metrics = {**model, "labels": labels}
    metrics |= {split: _metrics(it, labels) for split, it in splits.items()}
    messages, probabilities = splits["test"]
    actual = label_ids(messages, labels)
    metrics["test_intervals"] = confidence_intervals(
        actual,
        probabilities,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    metrics |= _without_leak(splits, labels, campaigns, settings.confidence)
    metrics["confusion"] = {
        split: _write_predictions(name, split, it, labels, note) for split, it in splits.items()
    }
    curves = {MODELS[name]: (actual, probabilities)}
    save_threshold_curves(Path("plots") / name, curves, labels, note=note, with_table=True)
    write_json(Path("metrics") / f"{name}.json", metrics)


def _metrics(predicted: Predicted, labels: list[str]) -> dict[str, Any]:
    messages, probabilities = predicted
    return classification_metrics(label_ids(messages, labels), probabilities)


def _without_leak(
    splits: dict[str, Predicted], labels: list[str], campaigns: pd.DataFrame, confidence: float
) -> dict[str, Any]:
    """Accuracy on test messages whose text, and whose campaign, is not in train."""
    messages, probabilities = splits["test"]
    right = probabilities.argmax(1) == label_ids(messages, labels)
    known = {
        "test_unseen": messages["text"].isin(splits["train"][0]["text"]).to_numpy(),
        "test_new_campaigns": of_known_campaigns(messages["line"], campaigns),
    }
    return {part: share_right(right[~seen], confidence) for part, seen in known.items()}


def _write_predictions(
    name: str, split: str, predicted: Predicted, labels: list[str], note: str
) -> list[list[int]]:
    """Write a split's predictions and its confusion matrix, which is returned: (C, C)."""
    messages, probabilities = predicted
    actual = label_ids(messages, labels)
    counts = confusion(actual, probabilities, len(labels))
    plots_dir = Path("plots") / name
    for normalized in (False, True):
        path = plots_dir / f"confusion_{split}{'_normalized' if normalized else ''}.png"
        title = confusion_title(MODELS[name], split, normalized=normalized)
        save_confusion_matrix(path, counts, labels, title, normalized=normalized, note=note)
    write_csv(plots_dir / f"confusion_{split}.csv", _pairs(actual, probabilities, labels))
    table = predictions_table(messages, probabilities, labels)
    write_csv(Path("data/predictions") / name / f"{split}.csv", table)
    return counts.tolist()


def share_right(right: np.ndarray, confidence: float) -> dict[str, Any]:
    """How many messages there are, and the accuracy on them; without any there is none.

    Beside the accuracy on all messages it says how much of that is leak, where these are the ones
    that the classifier was not trained on: the same classifier on the same messages, less the
    others, provided that they are as hard.

    Args:
        right: whether each was classified right, (N,) of bool.
    """
    if not len(right):
        return {"messages": 0}
    correct = int(right.sum())
    return {
        "messages": len(right),
        "accuracy": round(correct / len(right), 6),
        "interval": share_interval(correct, len(right), confidence),
    }


def of_known_campaigns(lines: pd.Series, campaigns: pd.DataFrame) -> np.ndarray:
    """Which messages are of a campaign that the training set has, too, (N,) of bool.

    Args:
        lines: of the messages of the test set, (N,).
        campaigns: columns campaign, split and line, as `prepare` writes them.
    """
    known = campaigns["campaign"].isin(campaigns["campaign"][campaigns["split"] == "train"])
    return lines.isin(campaigns["line"][known]).to_numpy()


def _pairs(actual: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> pd.DataFrame:
    names = np.array([plot_text(label) for label in labels])
    return pd.DataFrame({"actual": names[actual], "predicted": names[probabilities.argmax(1)]})
