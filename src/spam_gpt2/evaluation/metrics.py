"""Figures of merit of a classifier, by scikit-learn, and how far they can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn import metrics as sk

from spam_gpt2.evaluation.intervals import (
    auc_interval,
    bootstrap_mean_interval,
    f1_interval,
    mean_interval,
    share_interval,
)


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracy, precision, recall, F1, ROC AUC and loss of one split.

    With two classes, the last is the positive one (spam); with more, precision, recall, F1 and ROC
    AUC (one against the rest) are macro averages. A precision without a predicted positive is 0.

    Args:
        labels: class of each message, (N,) of int; every class is there.
        probabilities: (N, K), rows sum to 1.
    """
    predicted, n_classes = probabilities.argmax(1), probabilities.shape[1]
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, predicted, average="binary" if n_classes == 2 else "macro", zero_division=0.0
    )
    one_hot = np.eye(n_classes, dtype=int)[labels]
    is_class, scores = (labels, probabilities[:, 1]) if n_classes == 2 else (one_hot, probabilities)
    figures = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": sk.roc_auc_score(is_class, scores, average="macro"),
        "loss": sk.log_loss(labels, probabilities, labels=range(n_classes)),
    }
    return {name: round(float(value), 6) for name, value in figures.items()}


def confidence_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, list[float]]:
    """Lower and upper bound of each of `classification_metrics`.

    The shares have Wilson's interval, F1 and ROC AUC what comes of it (`intervals.py`), so that 36
    of 36 has a width, too; a macro average has its classes' together. The loss has bootstrap
    percentiles, which have no width where all messages of each class have the same loss.
    """
    n_classes = probabilities.shape[1]
    counts = confusion(labels, probabilities, n_classes)
    of_interest = [1] if n_classes == 2 else range(n_classes)
    rows = [_class_figures(counts, labels, probabilities, k, confidence) for k in of_interest]
    intervals = {"accuracy": share_interval(counts.trace(), counts.sum(), confidence)}
    for name in rows[0]:
        values, bounds = zip(*(row[name] for row in rows), strict=True)
        # A mistake is in the F1 and the ROC AUC of two classes: its own, and the one predicted.
        shared = 2 if name in ("f1", "roc_auc") and len(rows) > 1 else 1
        intervals[name] = np.clip(mean_interval(values, bounds, shared), 0, 1)
    tiny = np.finfo(probabilities.dtype).eps  # where scikit-learn clips, too
    losses = -np.log(probabilities[np.arange(len(labels)), labels].clip(tiny, 1 - tiny))
    drawn = {"confidence": confidence, "resamples": resamples, "seed": seed}
    intervals["loss"] = bootstrap_mean_interval(losses, labels, **drawn)
    return {name: [round(float(b), 6) for b in bounds] for name, bounds in intervals.items()}


def _class_figures(
    counts: np.ndarray, labels: np.ndarray, probabilities: np.ndarray, k: int, confidence: float
) -> dict[str, tuple[float, Sequence[float]]]:
    """Precision, recall, F1 and ROC AUC of a class against the rest, and the bounds of each."""
    hits, flagged, positives = (int(n) for n in (counts[k, k], counts[:, k].sum(), counts[k].sum()))
    auc = float(sk.roc_auc_score(labels == k, probabilities[:, k]))
    return {
        # Without a flagged message nothing is known.
        "precision": (
            hits / max(flagged, 1),
            share_interval(hits, flagged, confidence) if flagged else [0, 1],
        ),
        "recall": (hits / positives, share_interval(hits, positives, confidence)),
        "f1": (
            2 * hits / (flagged + positives),
            f1_interval(hits, flagged, positives, confidence),
        ),
        "roc_auc": (auc, auc_interval(auc, positives, len(labels) - positives, confidence)),
    }


def confusion(labels: np.ndarray, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (K, K): rows are the true classes, columns the predicted."""
    return sk.confusion_matrix(labels, probabilities.argmax(1), labels=range(n_classes))
