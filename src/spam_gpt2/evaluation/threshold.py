"""Is it of the positive class? The threshold that keeps false positives rare, and its figures."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from decimal import ROUND_CEILING, Decimal
from math import ceil, floor, log10
from typing import Any

import numpy as np
from scipy import stats

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


def short(threshold: Threshold, digits: int = 3) -> Threshold:
    """The threshold at a value that people can type: of it, or of 1 less it, so many digits.

    It is rounded up: below the value would be the very negative that it is to keep out.
    """
    value = threshold.value
    if not 0 < value < 1:
        return threshold
    places = min(20, digits - 1 - floor(log10(min(value, 1 - value))))
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(-places), ROUND_CEILING)
    return replace(threshold, value=float(rounded))


def negatives_needed(false_positive_rate: float, confidence: float) -> int | None:
    """How many negatives, none of them above the threshold, show that the rate is no higher.

    That is, Wilson's upper bound is at most the rate. None where the rate is 0 or next to it, which
    no number of them shows.
    """
    if false_positive_rate < 1e-9:
        return None
    z = float(stats.norm.ppf(0.5 + confidence / 2))
    return ceil(z * z * (1 / false_positive_rate - 1))


def operating_points(
    splits: dict[str, tuple[np.ndarray, np.ndarray]], false_positive_rate: float, confidence: float
) -> dict[str, Any]:
    """The threshold that validation gives, and all splits' figures with it and without.

    Args:
        splits: classes (N,), the second of two being the positive, and probabilities (N, 2) of each
            split; one without messages is left out.
    """
    actual, probabilities = splits["validation"]
    threshold = short(choose_threshold(actual == 1, probabilities[:, 1], false_positive_rate))
    needed = negatives_needed(false_positive_rate, confidence)
    found: dict[str, Any] = {"threshold": asdict(threshold) | {"negatives_needed": needed}}
    for name, value in (("at_threshold", threshold.value), ("argmax", 0.5)):
        found[name] = {
            split: decision_figures(actual == 1, p[:, 1] > value, confidence)
            for split, (actual, p) in splits.items()
            if len(actual)  # nothing may be left over for the hold-out
        }
    return found


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
