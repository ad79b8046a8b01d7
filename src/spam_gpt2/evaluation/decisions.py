"""Is it of the positive class? The threshold that keeps false positives rare, and its figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spam_gpt2.evaluation.intervals import share_interval


@dataclass(frozen=True)
class Threshold:
    """A message is taken for a positive when its probability is above `value`."""

    value: float
    negatives: int  # messages that it was chosen on; a false-positive rate comes in steps of 1 / n
    allowed: int  # of them may be above it


def choose_threshold(
    is_positive: np.ndarray, probabilities: np.ndarray, false_positive_rate: float
) -> Threshold:
    """The lowest threshold whose false-positive rate on these messages is at most the one given.

    It is the probability of the first negative that may not be above it. With n negatives none may
    be when the rate is below 1 / n; of other negatives like these about 1 / (n + 1) then are.

    Args:
        is_positive: (N,) of bool, with at least one negative.
        probabilities: of the positive class, (N,).
    """
    negatives = np.sort(probabilities[~is_positive])[::-1]
    rates = np.arange(1, len(negatives) + 1) / len(negatives)
    allowed = int((rates <= false_positive_rate).sum())
    value = float(negatives[allowed]) if allowed < len(negatives) else 0.0
    return Threshold(value, len(negatives), allowed)


def decision_counts(is_positive: np.ndarray, taken: np.ndarray) -> dict[str, tuple[int, int]]:
    """Accuracy, precision, recall and false-positive rate, each as a count and of how many.

    Left out is what cannot be told: the precision when no message is taken for a positive, and all
    but the one rate when the messages are of one class.

    Args:
        is_positive, taken: what each message is, and what it is taken for, (N,) of bool.
    """
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    hits, alarms = int((is_positive & taken).sum()), int(taken.sum())
    counts = {}
    if positives and negatives:
        counts["accuracy"] = int((is_positive == taken).sum()), len(taken)
        counts["precision"] = hits, alarms
    counts["recall"] = hits, positives
    counts["false_positive_rate"] = alarms - hits, negatives
    return {name: (count, total) for name, (count, total) in counts.items() if total}


def decision_figures(
    is_positive: np.ndarray, taken: np.ndarray, confidence: float
) -> dict[str, Any]:
    """The shares that `decision_counts` counts, and Wilson's interval around each."""
    counts = decision_counts(is_positive, taken)
    figures = {name: round(count / total, 6) for name, (count, total) in counts.items()}
    intervals = {name: share_interval(*pair, confidence) for name, pair in counts.items()}
    return {**figures, "intervals": intervals}
