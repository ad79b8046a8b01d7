"""What becomes of 1,000 messages whose classes are as rare as where the classifier will be used."""

from __future__ import annotations

from typing import Any

import numpy as np

from spam_gpt2.classifier.decision import UNSURE_CLASS
from spam_gpt2.evaluation.intervals import share_interval

MESSAGES = 1000


def expected_mistakes(
    actual: np.ndarray, decided: np.ndarray, shares: list[float], confidence: float
) -> list[dict[str, Any]]:
    """Of 1,000 messages, how many of each class there are and how many are taken for another.

    The rate of a class is that of its messages here, with Wilson's interval; its share is taken as
    given. So messages here may be of one class far more often than there.

    Args:
        actual, decided: the class of each message and the one it is taken for, or UNSURE_CLASS,
            (N,); every class is there.
        shares: of the classes, in their order; they sum to 1.

    Returns:
        for each class: messages, wrong and its interval, and how many were seen here. Where some
        message is left unsure also right and unsure, with intervals.
    """
    found = []
    is_unsure = decided == UNSURE_CLASS
    for k, share in enumerate(shares):
        of_class = decided[actual == k]
        seen, unsure = len(of_class), int((of_class == UNSURE_CLASS).sum())
        wrong = int((of_class != k).sum()) - unsure
        bounds = share_interval(wrong, seen, confidence)
        found.append(
            {
                "messages": round(MESSAGES * share, 3),
                "wrong": round(MESSAGES * share * wrong / seen, 3),
                "interval": [round(MESSAGES * share * bound, 3) for bound in bounds],
                "seen": seen,
                "seen_wrong": wrong,
            }
        )
        if is_unsure.any():
            for name, count in (("right", seen - wrong - unsure), ("unsure", unsure)):
                bounds = share_interval(count, seen, confidence)
                found[-1][name] = round(MESSAGES * share * count / seen, 3)
                found[-1][f"{name}_interval"] = [round(MESSAGES * share * b, 3) for b in bounds]
    return found
