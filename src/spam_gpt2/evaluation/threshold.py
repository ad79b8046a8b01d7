"""Is it of the positive class? The threshold that keeps false positives rare, and its figures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from math import ceil, floor, log10
from typing import Any

import numpy as np
from scipy import stats

from spam_gpt2.classifier.decision import UNSURE_CLASS, Decision, as_trained
from spam_gpt2.evaluation.calibration import log_probabilities
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


def short(threshold: Threshold) -> Threshold:
    """The threshold at a value that people can type.

    It is rounded up: below the value would be the very negative that it is to keep out.
    """
    return replace(threshold, value=rounded_up(threshold.value))


def rounded_up(probability: float, digits: int = 3) -> float:
    """So many digits of a probability, or of 1 less it where that is smaller."""
    if not 0 < probability < 1:
        return probability
    places = min(20, digits - 1 - floor(log10(min(probability, 1 - probability))))
    unit = Decimal(1).scaleb(-places)
    return float(Decimal(repr(probability)).quantize(unit, ROUND_CEILING))


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
    splits: dict[str, tuple[np.ndarray, np.ndarray]], decision: Decision, confidence: float
) -> dict[str, Any]:
    """All splits' figures as the decision has it, and as trained, where the more probable class is.

    Args:
        splits: classes (N,), the second of two being the positive, and probabilities (N, 2) as
            trained, of each split; one without messages is left out.
    """
    found: dict[str, Any] = {}
    for name, way in (("at_threshold", decision), ("argmax", as_trained(decision.labels))):
        found[name] = {}
        for split, (actual, p) in splits.items():
            if len(actual):  # nothing may be left over for the hold-out
                found[name][split] = decided_figures(actual, p, way, confidence)
    return found


def decided_figures(
    actual: np.ndarray, probabilities: np.ndarray, decision: Decision, confidence: float
) -> dict[str, Any]:
    """What `decision_figures` says of a decision.

    Args:
        actual: classes, (N,), the second of two being the positive.
        probabilities: as trained, (N, 2).
    """
    taken = decided(decision, probabilities)
    zone = None if decision.unsure_from is None else taken == UNSURE_CLASS
    return decision_figures(actual == 1, taken == 1, confidence, zone)


def decided(decision: Decision, probabilities: np.ndarray) -> np.ndarray:
    """What the decision makes of each message, (N,) of int: its class or UNSURE_CLASS.

    Args:
        probabilities: as trained, (N, K).
    """
    return decision.classes(decision.probabilities(log_probabilities(probabilities)))


def decision_counts(
    is_positive: np.ndarray, taken: np.ndarray, unsure: np.ndarray | None = None
) -> dict[str, tuple[int, int]]:
    """Accuracy, precision, recall and false-positive rate, each as a count and of how many.

    Left out is what cannot be told: the precision when no message is taken for a positive, and all
    but the one rate when the messages are of one class. With messages that are left unsure, their
    share takes the place of the accuracy.

    Args:
        is_positive, taken: what each message is, and what it is taken for, (N,) of bool.
        unsure: messages that are taken for nothing, (N,) of bool.
    """
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    hits, alarms = int((is_positive & taken).sum()), int(taken.sum())
    counts = {}
    if positives and negatives:
        if unsure is None:
            counts["accuracy"] = int((is_positive == taken).sum()), len(taken)
        counts["precision"] = hits, alarms
    counts["recall"] = hits, positives
    counts["false_positive_rate"] = alarms - hits, negatives
    if unsure is not None:
        counts["unsure"] = int(unsure.sum()), len(unsure)
    return {name: (count, total) for name, (count, total) in counts.items() if total}


def decision_figures(
    is_positive: np.ndarray,
    taken: np.ndarray,
    confidence: float,
    unsure: np.ndarray | None = None,
) -> dict[str, Any]:
    """The shares that `decision_counts` counts, and Wilson's interval around each."""
    counts = decision_counts(is_positive, taken, unsure)
    figures = {name: round(count / total, 6) for name, (count, total) in counts.items()}
    intervals = {name: share_interval(*pair, confidence) for name, pair in counts.items()}
    return {**figures, "intervals": intervals}
