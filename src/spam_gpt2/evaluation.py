"""The files that an evaluation leaves behind, the same for GPT-2 and for the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from spam_gpt2.figures import save_confusion_matrix, save_curves
from spam_gpt2.files import write_json, write_text
from spam_gpt2.metrics import (
    classification_metrics,
    confidence_intervals,
    confusion,
    false_positive_rate,
    precision_recall_points,
    roc_points,
)
from spam_gpt2.params import Evaluate

Predicted = tuple[pd.DataFrame, np.ndarray]  # messages (line, label, text), probabilities (N, K)


def write_evaluation(
    name: str,
    model: dict[str, Any],
    splits: dict[str, Predicted],
    labels: list[str],
    settings: Evaluate,
) -> None:
    """Write metrics, confusion matrices, curves and predictions of the splits.

    Into `metrics/<name>.json`, `plots/<name>/` and `data/predictions/<name>/`.

    Args:
        name: `gpt2` or `baseline`.
        model: what made the predictions, for the head of the metrics file; its first value is in
            the pictures' titles.
        splits: train, validation and test; the test figures come with intervals.
    """
    metrics = dict(model)
    plots_dir = Path("plots") / name
    title = next(iter(model.values()))
    for split, (messages, probabilities) in splits.items():
        actual = label_ids(messages, labels)
        metrics[split] = classification_metrics(actual, probabilities)
        counts = confusion(actual, probabilities, len(labels))
        _write_confusion(plots_dir / f"confusion_{split}", counts, labels, f"{title}: {split}")
        _write_csv(plots_dir / f"confusion_{split}.csv", _pairs(actual, probabilities, labels))
        predictions = predictions_table(messages, probabilities, labels)
        _write_csv(Path("data/predictions") / name / f"{split}.csv", predictions)
    messages, probabilities = splits["test"]
    actual = label_ids(messages, labels)
    metrics["test_intervals"] = confidence_intervals(
        actual,
        probabilities,
        confidence=settings.confidence,
        resamples=settings.resamples,
        seed=settings.seed,
    )
    _write_test_curves(plots_dir, actual, probabilities, title)
    write_json(Path("metrics") / f"{name}.json", metrics)


def write_holdout_evaluation(
    model: dict[str, Any], predicted: Predicted, labels: list[str], settings: Evaluate
) -> None:
    """Write how many hold-out messages of each class are taken for another, and predictions.

    Into `metrics/holdout.json` and `data/predictions/gpt2/holdout.csv`. Of two classes the last is
    the positive one, so that the rate of the first is the false-positive rate.
    """
    messages, probabilities = predicted
    actual = label_ids(messages, labels)
    metrics = dict(model)
    for k, label in enumerate(labels):
        of_class = probabilities[actual == k]
        if len(of_class):
            metrics[label] = false_positive_rate(of_class, k, settings.confidence)
    table = predictions_table(messages, probabilities, labels)
    _write_csv(Path("data/predictions/gpt2/holdout.csv"), table)
    write_json(Path("metrics/holdout.json"), metrics)


def label_ids(messages: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Class of each message by its place in `labels`, (N,) of int64."""
    return messages["label"].map({label: k for k, label in enumerate(labels)}).to_numpy(np.int64)


def predictions_table(
    messages: pd.DataFrame, probabilities: np.ndarray, labels: list[str]
) -> pd.DataFrame:
    """Messages with the predicted label and the probability of each."""
    table = messages[["line", "label", "text"]].reset_index(drop=True)
    table.insert(2, "predicted", np.array(labels)[probabilities.argmax(1)])
    for k, label in enumerate(labels):
        table.insert(3 + k, f"probability_{label}", probabilities[:, k].round(6))
    return table


def _pairs(actual: np.ndarray, probabilities: np.ndarray, labels: list[str]) -> pd.DataFrame:
    names = np.array(labels)
    return pd.DataFrame({"actual": names[actual], "predicted": names[probabilities.argmax(1)]})


def _write_confusion(stem: Path, counts: np.ndarray, labels: list[str], title: str) -> None:
    for normalized, suffix in ((False, ".png"), (True, "_normalized.png")):
        path = stem.with_name(stem.name + suffix)
        save_confusion_matrix(path, counts, labels, title, normalized=normalized)


def _write_test_curves(
    plots_dir: Path, actual: np.ndarray, probabilities: np.ndarray, title: str
) -> None:
    recall, precision = precision_recall_points(actual, probabilities)
    fpr, tpr = roc_points(actual, probabilities)
    for name, x, y, xs, ys in (
        ("ROC", "false_positive_rate", "true_positive_rate", fpr, tpr),
        ("Precision recall", "recall", "precision", recall, precision),
    ):
        path = plots_dir / f"{name.lower().replace(' ', '_')}.csv"
        _write_csv(path, pd.DataFrame({x: xs.round(6), y: ys.round(6)}))
        axes = {"x": x.replace("_", " "), "y": y.replace("_", " "), "limits": (0, 1.02)}
        save_curves(path.with_suffix(".png"), {"test": (xs, ys)}, title=f"{name}: {title}", **axes)


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write_text(path, table.to_csv(index=False, lineterminator="\n"))
