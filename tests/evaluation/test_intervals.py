"""Wilson's interval against published ones, its formula and scipy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from spam_gpt2.evaluation.intervals import share_interval

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


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
@pytest.mark.parametrize(("count", "total"), [(0, 1), (1, 1), (0, 4080), (4080, 4080), (3, 7)])
def test_wilsons_interval_is_scipys(count: int, total: int, confidence: float) -> None:
    expected = stats.binomtest(count, total).proportion_ci(confidence, method="wilson")
    low, high = share_interval(count, total, confidence)
    assert [low, high] == [round(expected.low, 6), round(expected.high, 6)]
    assert math.copysign(1, low) == 1  # no -0.0 in a metrics file
