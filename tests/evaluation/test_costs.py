"""Costs by hand, and the cheapest decision against all others on messages drawn at a known rate."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spam_gpt2.classifier.decision import UNSURE_CLASS
from spam_gpt2.common.params import Costs
from spam_gpt2.evaluation.costs import (
    cheapest_thresholds,
    expected_cost,
    expected_cost_interval,
)

GRID = np.linspace(0, 1, 201)


def test_by_hand() -> None:
    """Of 4 ham one is blocked, of 2 spam one is missed: at 10 % spam, 225 and 50 of 1,000."""
    actual, decided = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 0])
    cost = expected_cost(actual, decided, 0.1, Costs(missed=2, blocked=10))
    assert cost == pytest.approx(225 * 10 + 50 * 2)


def test_with_a_person_by_hand() -> None:
    """Of 4 ham one is left unsure and one blocked, of 2 spam one is unsure: 225, 225, and 50."""
    actual = np.array([0, 0, 0, 0, 1, 1])
    decided = np.array([0, 0, UNSURE_CLASS, 1, 1, UNSURE_CLASS])
    cost = expected_cost(actual, decided, 0.1, Costs(missed=2, blocked=10), 0.5)
    assert cost == pytest.approx(225 * 10 + (225 + 50) * 0.5)


@pytest.mark.parametrize("unsure", [None, 0.5])
def test_the_interval_holds_the_true_cost_as_often_as_it_says(unsure: float | None) -> None:
    """Of messages drawn again and again, at rates of the mistakes that are known."""
    random, costs = np.random.default_rng(3), Costs(missed=1, blocked=10)
    actual = np.repeat([0, 1], [400, 120])
    ham = [0, 1, UNSURE_CLASS], [0.97, 0.02, 0.01]
    spam = [1, 0, UNSURE_CLASS], [0.8, 0.15, 0.05]
    asked = unsure or 0.0
    true = 1000 * (0.9 * (10 * 0.02 + asked * 0.01) + 0.1 * (1 * 0.15 + asked * 0.05))
    held = 0
    for _ in range(500):
        drawn = [random.choice(w, n, p=p) for (w, p), n in ((ham, 400), (spam, 120))]
        decided = np.concatenate(drawn)
        low, high = expected_cost_interval(actual, decided, 0.1, costs, unsure, 0.95)
        assert low <= expected_cost(actual, decided, 0.1, costs, unsure) <= high
        held += low <= true <= high
    assert 0.92 <= held / 500 <= 0.985


def drawn(prevalence: float, n: int = 300_000) -> tuple[np.ndarray, np.ndarray]:
    """Messages at a rate, and the probability that each is spam: known, as scores are normal."""
    random = np.random.default_rng(7)
    is_spam = random.random(n) < prevalence
    score = random.normal(np.where(is_spam, 1.0, -1.0))
    spam, ham = prevalence * stats.norm.pdf(score, 1), (1 - prevalence) * stats.norm.pdf(score, -1)
    return is_spam.astype(int), spam / (spam + ham)


@pytest.mark.parametrize("prevalence", [0.05, 0.5])
@pytest.mark.parametrize(("missed", "blocked"), [(1, 1), (1, 10), (5, 1)])
def test_no_threshold_costs_less(prevalence: float, missed: float, blocked: float) -> None:
    """All of a grid are tried; by chance, another may be cheaper by a little."""
    actual, p = drawn(prevalence)
    costs = Costs(missed=missed, blocked=blocked)
    unsure_from, threshold = cheapest_thresholds(costs, None)
    assert unsure_from is None
    every = [expected_cost(actual, (p > t).astype(int), prevalence, costs) for t in GRID]
    chosen = expected_cost(actual, (p > threshold).astype(int), prevalence, costs)
    assert chosen <= min(every) * 1.01
    assert max(every) > 1.5 * chosen
    assert abs(GRID[np.argmin(every)] - threshold) < 0.06


@pytest.mark.parametrize(
    ("missed", "blocked", "unsure"), [(1, 1, 0.2), (1, 10, 0.2), (1, 10, 0.6), (5, 1, 0.3)]
)
def test_no_zone_costs_less(missed: float, blocked: float, unsure: float) -> None:
    """All pairs of a grid are tried, and so are those without a zone."""
    actual, p = drawn(0.2, 40_000)
    costs = Costs(missed=missed, blocked=blocked)

    def cost(lower: float, upper: float) -> float:
        decided = np.where(p > upper, 1, np.where(p > lower, UNSURE_CLASS, 0))
        return expected_cost(actual, decided, 0.2, costs, unsure)

    lower, upper = cheapest_thresholds(costs, unsure)
    assert 0 < lower < upper < 1
    every = {(x, y): cost(x, y) for x in GRID[::8] for y in GRID[::8] if x <= y}
    without = [value for (x, y), value in every.items() if x == y]
    assert cost(lower, upper) <= min(every.values()) * 1.01
    assert cost(lower, upper) < min(without)


def test_the_zone_closes_where_asking_costs_what_guessing_does() -> None:
    lower, upper = cheapest_thresholds(Costs(missed=1, blocked=10), 10 / 11)
    assert lower == pytest.approx(upper) == pytest.approx(10 / 11)
