"""Intervals against their formulas, published ones, and what they are to hold."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spam_gpt2.evaluation.intervals import (
    auc_interval,
    difference_interval,
    f1_interval,
    mean_interval,
    paired_difference_interval,
    share_interval,
)

few_examples = settings(max_examples=25, deadline=None)
# Newcombe (1998), Statistics in Medicine 17, table I: Wilson's score interval, method 3.
NEWCOMBE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


@pytest.mark.parametrize(("count", "total", "low", "high"), NEWCOMBE)
def test_wilsons_interval_is_as_published(count: int, total: int, low: float, high: float) -> None:
    assert share_interval(count, total, 0.95) == pytest.approx([low, high], abs=5e-5)


@few_examples
@given(
    total=st.integers(1, 5000), share=st.floats(0, 1), confidence=st.sampled_from([0.5, 0.9, 0.99])
)
def test_wilsons_interval_is_its_formula(total: int, share: float, confidence: float) -> None:
    """Wilson (1927): the shares p that lie z standard errors, taken at p, from what was seen."""
    count = round(share * total)
    low, high = share_interval(count, total, confidence)
    z = stats.norm.ppf(0.5 + confidence / 2)
    p = count / total
    middle = (p + z**2 / (2 * total)) / (1 + z**2 / total)
    half = z * math.sqrt(p * (1 - p) / total + z**2 / (4 * total**2)) / (1 + z**2 / total)
    assert [low, high] == pytest.approx([middle - half, middle + half], abs=1e-6)


@pytest.mark.parametrize("total", [1, 2, 36, 302])
@pytest.mark.parametrize("all_right", [False, True])
def test_none_or_all_has_a_width(total: int, all_right: bool) -> None:
    low, high = share_interval(total * all_right, total, 0.95)
    assert high - low == pytest.approx(1.959964**2 / (total + 1.959964**2), abs=2e-6)
    low, high = f1_interval(total * all_right, total, total, 0.95)
    assert 0 <= low < high <= 1
    low, high = auc_interval(float(all_right), total, total, 0.95)
    assert high - low > 0.005
    assert (high if all_right else low) == all_right


@given(hits=st.integers(0, 30), missed=st.integers(0, 30), alarms=st.integers(0, 30))
def test_the_interval_of_f1_is_around_it(hits: int, missed: int, alarms: int) -> None:
    if hits + missed + alarms == 0:
        return
    f1 = 2 * hits / (2 * hits + missed + alarms)
    low, high = f1_interval(hits, hits + alarms, hits + missed, 0.95)
    assert 0 <= low <= f1 <= high <= 1
    assert high - low > 0.01


@few_examples
@given(share=st.floats(0, 1), positives=st.integers(1, 200), negatives=st.integers(1, 200))
def test_bounds_of_an_area_lie_z_standard_errors_from_it(
    share: float, positives: int, negatives: int
) -> None:
    """The standard error is that at the bound: Newcombe 2006, by the sizes' mean."""
    pairs = positives * negatives
    auc = round(2 * share * pairs) / (2 * pairs)  # pairs in the right order, ties as halves
    for a in auc_interval(auc, positives, negatives, 0.95):
        if a in (0, 1):
            continue
        q1, q2, others = a / (2 - a), 2 * a * a / (1 + a), (positives + negatives) / 2 - 1
        # Hanley & McNeil 1982, eq. 2, both of its sizes less one being `others`.
        variance = a * (1 - a) + others * (q1 - a * a) + others * (q2 - a * a)
        error = math.sqrt(variance / (positives * negatives))
        assert abs(a - auc) == pytest.approx(1.959964 * error, rel=1e-4, abs=1e-9)


def test_the_mean_of_shares_of_equal_classes_is_nearly_the_share_of_all() -> None:
    shares, bounds = [0.8] * 4, [share_interval(80, 100, 0.95)] * 4
    found = mean_interval(shares, bounds)
    assert found == pytest.approx(share_interval(320, 400, 0.95), abs=0.004)
    wider = mean_interval(shares, bounds, shared=2)
    assert np.diff(wider) == pytest.approx(math.sqrt(2) * np.diff(found))
    assert mean_interval([0.8], bounds[:1]) == pytest.approx(bounds[0])


PUBLISHED = [  # Newcombe 1998, table II, method 10: x1 of n1, x2 of n2, and the limits of p1 - p2
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("x1", "n1", "x2", "n2", "low", "high"), PUBLISHED)
def test_the_interval_of_a_difference_is_the_published_one(
    x1: int, n1: int, x2: int, n2: int, low: float, high: float
) -> None:
    one, two = (x1 / n1, share_interval(x1, n1, 0.95)), (x2 / n2, share_interval(x2, n2, 0.95))
    assert difference_interval(*two, *one) == pytest.approx((low, high), abs=6e-5)
    assert difference_interval(*one, *two) == pytest.approx((-high, -low), abs=6e-5)


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 4080), (4080, 4080), (3, 7)])
def test_wilsons_interval_is_scipys(count: int, total: int, confidence: float) -> None:
    expected = stats.binomtest(count, total).proportion_ci(confidence, method="wilson")
    low, high = share_interval(count, total, confidence)
    assert [low, high] == [round(expected.low, 6), round(expected.high, 6)]
    assert math.copysign(1, low) == 1  # no -0.0 in a metrics file


PAIRED = [  # Newcombe 1998 on paired data, table III, method 10: the four counts and the limits
    (36, 12, 2, 0, 0.0569, 0.3404),
]


@pytest.mark.parametrize(("both", "first", "second", "neither", "low", "high"), PAIRED)
def test_the_interval_of_a_paired_difference_is_the_published_one(
    both: int, first: int, second: int, neither: int, low: float, high: float
) -> None:
    pairs = np.array([[both, first], [second, neither]])
    assert paired_difference_interval(pairs, 0.95) == pytest.approx((low, high), abs=1e-4)
    turned = paired_difference_interval(pairs.T, 0.95)
    assert turned == pytest.approx((-high, -low), abs=1e-4)


@given(counts=st.tuples(*[st.integers(0, 40)] * 4).filter(any))
def test_a_paired_difference_is_within_its_interval_which_has_a_width(
    counts: tuple[int, ...],
) -> None:
    pairs = np.array(counts).reshape(2, 2)
    difference = (counts[1] - counts[2]) / sum(counts)
    low, high = paired_difference_interval(pairs, 0.95)
    rounded = 1e-5  # as Wilson's bounds are
    assert -1 - rounded <= low <= difference + rounded
    assert difference - rounded <= high <= 1 + rounded
    assert high - low > 0.01
