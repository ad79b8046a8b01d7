"""Intervals that are right for few messages, too: none has a width of zero, as of 36 of 36."""

from __future__ import annotations

from collections.abc import Sequence
from math import hypot, sqrt
from statistics import NormalDist

import numpy as np

Bounds = tuple[float, float]


def share_interval(count: int, total: int, confidence: float) -> list[float]:
    """Wilson's score interval of a share (Wilson 1927), to 6 decimals.

    As scipy.stats gives it, whose import takes longer than all else that evaluates the hold-out.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (count + z**2 / 2) / (total + z**2)
    half = z * (count * (total - count) / total + z**2 / 4) ** 0.5 / (total + z**2)
    return [round(max(middle - half, 0.0), 6), round(min(middle + half, 1.0), 6)]


def f1_interval(hits: int, flagged: int, positives: int, confidence: float) -> Bounds:
    """Interval of F1 by that of hits among what is flagged, positive or both.

    Of this share s, F1 is 2 s / (1 + s), and its interval is Wilson's (the indirect method of Lam,
    Gopal & Qian 2023, arXiv:2309.14621).

    Args:
        hits: positives that were flagged; at least one message is flagged or positive.
    """
    low, high = share_interval(hits, flagged + positives - hits, confidence)
    return 2 * low / (1 + low), 2 * high / (1 + high)


def auc_interval(auc: float, positives: int, negatives: int, confidence: float) -> Bounds:
    """Score interval of an area under the ROC curve, with the variance that holds at its bounds.

    The variance is Hanley & McNeil's, symmetric in the two classes (Newcombe 2006, Statistics in
    Medicine 25, 559-573).
    """
    from scipy.optimize import brentq  # which the hold-out's evaluation does without

    pairs, others = positives * negatives, (positives + negatives) / 2 - 1
    z = NormalDist().inv_cdf(0.5 + confidence / 2)

    def excess(a: float) -> float:
        variance = a * (1 - a) * (1 + others * ((1 - a) / (2 - a) + a / (1 + a))) / pairs
        return abs(auc - a) - z * sqrt(variance)

    inside = min(max(auc, 1e-12), 1 - 1e-12)  # at 0 and 1 the variance is 0: no bound, but a root
    low = 0.0 if auc == 0 else brentq(excess, 0, inside)
    high = 1.0 if auc == 1 else brentq(excess, inside, 1)
    return low, high


def mean_interval(
    values: Sequence[float], bounds: Sequence[Sequence[float]], shared: int = 1
) -> Bounds:
    """Interval of the mean of values from that of each (Zou & Donner 2008, Statistics in Medicine
    27, 1693-1702), which for independent shares is Newcombe's.

    Args:
        shared: in how many of the values the same message may count. As the square of a sum of n
            terms is at most n times the sum of their squares, the interval is wide enough.
    """
    low = hypot(*(v - low for v, (low, _) in zip(values, bounds, strict=True)))
    high = hypot(*(high - v for v, (_, high) in zip(values, bounds, strict=True)))
    mean, scale = sum(values) / len(values), sqrt(shared) / len(values)
    return mean - scale * low, mean + scale * high


def difference_interval(
    before: float, bounds: Sequence[float], after: float, bounds_after: Sequence[float]
) -> Bounds:
    """Interval of `after` less `before`, two independent figures, from that of each.

    Of shares with Wilson's intervals it is Newcombe's (1998, Statistics in Medicine 17, 873-890,
    method 10); of others, Zou & Donner's (2008).
    """
    (low, high), (low_after, high_after) = bounds, bounds_after
    return (
        after - before - hypot(after - low_after, high - before),
        after - before + hypot(high_after - after, before - low),
    )


def paired_difference_interval(pairs: np.ndarray, confidence: float) -> Bounds:
    """Interval of the first share less the second, of the same messages (Newcombe 1998, Statistics
    in Medicine 17, 2635-2650, method 10: from Wilson's intervals and the correlation of the two).

    Args:
        pairs: counts (2, 2), rows first yes and no, columns second yes and no.
    """
    total, firsts, seconds = int(pairs.sum()), pairs.sum(1), pairs.sum(0)
    first, second = firsts[0] / total, seconds[0] / total
    low, high = share_interval(int(firsts[0]), total, confidence)
    low_second, high_second = share_interval(int(seconds[0]), total, confidence)
    together = float(pairs[0, 0] * pairs[1, 1] - pairs[0, 1] * pairs[1, 0])
    if together > 0:  # corrected for continuity
        together = max(together - total / 2, 0.0)
    spread = sqrt(float(firsts.prod()) * float(seconds.prod()))
    correlation = together / spread if spread else 0.0

    def reach(a: float, b: float) -> float:
        return sqrt(max(a * a - 2 * correlation * a * b + b * b, 0.0))

    down, up = reach(first - low, high_second - second), reach(high - first, second - low_second)
    return first - second - down, first - second + up


def bootstrap_mean_interval(
    values: np.ndarray, strata: np.ndarray, *, confidence: float, resamples: int, seed: int
) -> Bounds:
    """Percentiles of the mean over resamples within each stratum (Efron & Tibshirani 1993, ch. 13).

    Args:
        values, strata: one a message, (N,).
    """
    random = np.random.default_rng(seed)
    members = [values[strata == k] for k in np.unique(strata)]
    drawn = [
        sum(float(random.choice(of_one, len(of_one)).sum()) for of_one in members)
        for _ in range(resamples)
    ]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(drawn, [tail, 100 - tail]) / len(values)
    return float(low), float(high)
