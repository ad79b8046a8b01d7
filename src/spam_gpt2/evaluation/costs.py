"""What decisions cost, and the threshold and the zone for a person that cost least.

Of two classes: a positive that is taken for a negative is missed, a negative that is taken for a
positive is blocked, and a message of either may be left unsure, for a person to look at.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import hypot

import numpy as np

from spam_gpt2.classifier.decision import UNSURE_CLASS
from spam_gpt2.common.params import Costs
from spam_gpt2.evaluation.intervals import Bounds, share_interval

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
    terms = _terms(actual, decided, prevalence, costs, unsure)
    return sum(cost * count / total for cost, count, total in terms)


def expected_cost_interval(
    actual: np.ndarray,
    decided: np.ndarray,
    prevalence: float,
    costs: Costs,
    unsure: float | None,
    confidence: float,
) -> Bounds:
    """That of `expected_cost`, from Wilson's interval of each rate (Zou & Donner 2008).

    The rates are taken as independent. Those of one class, wrong and unsure, exclude each other, so
    with a zone for a person the interval is a little wide.
    """
    low, high = 0.0, 0.0
    for cost, count, total in _terms(actual, decided, prevalence, costs, unsure):
        bounds = share_interval(count, total, confidence)
        low = hypot(low, cost * (count / total - bounds[0]))
        high = hypot(high, cost * (bounds[1] - count / total))
    middle = expected_cost(actual, decided, prevalence, costs, unsure)
    return max(middle - low, 0.0), middle + high


def _terms(
    actual: np.ndarray,
    decided: np.ndarray,
    prevalence: float,
    costs: Costs,
    unsure: float | None,
) -> Iterator[tuple[float, int, int]]:
    """For each class and each way not to get it right: what it would cost if all messages of the
    class went that way, how many do here, and of how many."""
    for k, share, cost in ((0, 1 - prevalence, costs.blocked), (1, prevalence, costs.missed)):
        of_class = decided[actual == k]
        for way, price in ((1 - k, cost), (UNSURE_CLASS, unsure or 0.0)):
            yield MESSAGES * share * price, int((of_class == way).sum()), len(of_class)


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
