"""What decisions cost, and the threshold and the zone for a person that cost least.

Of two classes: a positive that is taken for a negative is missed, a negative that is taken for a
positive is blocked, and a message of either may be left unsure, for a person to look at.
"""

from __future__ import annotations

import numpy as np

from spam_gpt2.classifier.decision import UNSURE_CLASS
from spam_gpt2.common.params import Costs

MESSAGES = 1000


def expected_cost(
    actual: np.ndarray,
    decided: np.ndarray,
    prevalence: float,
    costs: Costs,
    unsure: float | None = None,
) -> float:
    """Of 1,000 messages with a share of positives, by the rates of each class here.

    Args:
        actual, decided: classes, (N,) of int; messages of both are there.
        prevalence: the share of positives, there.
        unsure: the cost of a message that is left unsure; None where there is none.
    """
    found = 0.0
    for k, share, cost in ((0, 1 - prevalence, costs.blocked), (1, prevalence, costs.missed)):
        of_class = decided[actual == k]
        asked = (unsure or 0.0) * (of_class == UNSURE_CLASS).mean()
        found += share * (cost * (of_class == 1 - k).mean() + asked)
    return MESSAGES * float(found)


def cheapest_thresholds(costs: Costs, unsure: float | None) -> tuple[float | None, float]:
    """The probability from which on a message is left unsure (None: never), and the threshold.

    Of a message with the probability p, each answer costs what it is expected to cost: `missed` p,
    `blocked` (1 - p), or `unsure`; the least is taken (Elkan 2001, section 1.3; Chow 1970 for the
    third). So probabilities must be true: calibrated, and shifted to the prevalence. A search for
    the threshold that is cheapest on validation needs none of that, but finds the luck of the few
    messages near it: docs/decisions.md has figures.

    Args:
        unsure: below missed x blocked / (missed + blocked), from which on it never pays.
    """
    if unsure is None:
        return None, costs.blocked / (costs.missed + costs.blocked)
    return unsure / costs.missed, 1 - unsure / costs.blocked
