"""McNemar's exact test against its formula, counted out in whole numbers."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from spam_gpt2.evaluation.comparison import Comparison


def exact_mcnemar(only_first: int, only_second: int) -> Fraction:
    """Twice the lower tail of n fair coins, and no more than 1."""
    n, fewer = only_first + only_second, min(only_first, only_second)
    return min(Fraction(1), 2 * Fraction(sum(comb(n, i) for i in range(fewer + 1)), 2**n))


@pytest.mark.parametrize(
    ("only_first", "only_second"),
    [(0, 0), (1, 0), (0, 5), (6, 0), (3, 3), (4, 3), (10, 2), (2, 10), (7, 21), (40, 61)],
)
def test_the_p_value_is_its_formula(only_first: int, only_second: int) -> None:
    comparison = Comparison(both=100, only_first=only_first, only_second=only_second, neither=4)
    expected = float(exact_mcnemar(only_first, only_second))
    assert comparison.p_value == pytest.approx(expected, rel=1e-9)


def test_of_many_messages_it_is_near_the_test_by_chi_squared() -> None:
    """McNemar's own approximation, with the correction for continuity (Edwards 1948)."""
    comparison = Comparison(both=794, only_first=150, only_second=186, neither=570)
    chi2 = (abs(150 - 186) - 1) ** 2 / (150 + 186)
    assert comparison.p_value == pytest.approx(stats.chi2.sf(chi2, df=1), rel=0.02)
    assert comparison.accuracy_difference == pytest.approx((944 - 980) / 1700)


def test_answers_are_counted() -> None:
    first = np.array([True, True, True, False, False, True])
    second = np.array([True, False, False, True, False, True])
    comparison = Comparison.of(first, second)
    assert vars(comparison) == {"both": 2, "only_first": 2, "only_second": 1, "neither": 1}
    assert comparison.table.tolist() == [[2, 2], [1, 1]]
    assert comparison.accuracy_difference == pytest.approx(first.mean() - second.mean())


def test_where_chance_explains_it_no_difference_is_shown() -> None:
    comparison = Comparison(both=280, only_first=3, only_second=9, neither=10)
    figures = comparison.figures("test", "A", "the baseline", 0.95)
    assert figures["p_value"] == pytest.approx(0.145996, abs=1e-6)
    assert figures["accuracy_difference"] == -0.019868
    assert figures["summary"] == (
        "No difference between A and the baseline can be shown on 302 test messages: only A is "
        "right about 3 of them, only the baseline about 9; accuracy -2.0 points (-4.7 to +0.4)."
    )


def test_where_it_does_not_one_is_better() -> None:
    worse, better = Comparison(1190, 3, 9, 0), Comparison(1180, 20, 4, 0)
    assert worse.verdict("test", "A", "the baseline", 0.8).startswith(
        "The baseline is better than A on 1,202 test messages: only A is right about 3 of them"
    )
    assert better.verdict("test", "A", "the baseline", 0.95).startswith("A is better than the base")
    assert "No difference" in better.verdict("test", "A", "the baseline", 0.999)
    assert "No difference" in Comparison(9, 0, 0, 0).verdict("test", "A", "B", 0.5)
