"""What becomes of 1,000 messages whose classes are as rare as where the classifier will be used."""

from __future__ import annotations

from typing import Any

import numpy as np

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH
from spam_gpt2.evaluation.intervals import share_interval

MESSAGES = 1000


def class_shares(counts: list[int], positive_share: float | None) -> list[float]:
    """The share of each class: of two the last has the given one, else as they were counted.

    Raises: InputError for a share of the positive class where there are more than two.
    """
    if positive_share is None:
        return [count / sum(counts) for count in counts]
    if len(counts) != 2:
        raise InputError(
            f"{PARAMS_PATH}: calibrate.positive_share: {positive_share} is the share of the second "
            f"of two classes, and there are {len(counts)}; set it to null"
        )
    return [1 - positive_share, positive_share]


def expected_mistakes(
    actual: np.ndarray, decided: np.ndarray, shares: list[float], confidence: float
) -> list[dict[str, Any]]:
    """Of 1,000 messages, how many of each class there are and how many are taken for another.

    The rate of a class is that of its messages here, with Wilson's interval; its share is taken as
    given. So messages here may be of one class far more often than there.

    Args:
        actual, decided: the class of each message and the one it is taken for, (N,); every class
            is there.
        shares: of the classes, in their order; they sum to 1.
    """
    found = []
    for k, share in enumerate(shares):
        wrong, seen = int((decided[actual == k] != k).sum()), int((actual == k).sum())
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
    return found
