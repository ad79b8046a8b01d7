"""Thresholds against a search through all of them, figures against scikit-learn and a count."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from spam_gpt2.classifier.decision import as_trained
from spam_gpt2.evaluation.threshold import (
    Threshold,
    choose_threshold,
    decision_counts,
    decision_figures,
    negatives_needed,
    operating_points,
    short,
)

# Few values, so that probabilities coincide.
PROBABILITIES = st.one_of(st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]), st.floats(0, 1))


@given(
    st.lists(st.tuples(st.booleans(), PROBABILITIES), min_size=1, max_size=25),
    PROBABILITIES,
    st.floats(0, 0.99),
)
def test_no_lower_threshold_keeps_the_rate(
    messages: list[tuple[bool, float]], of_a_negative: float, target: float
) -> None:
    """Only at the probabilities themselves, and at 0, does the rate change."""
    is_positive, p = (np.array(c) for c in zip(*messages, (False, of_a_negative), strict=True))
    negatives = p[~is_positive]

    def rate(threshold: float) -> float:
        return np.count_nonzero(negatives > threshold) / len(negatives)

    keeping = [t for t in {0.0, *p.tolist()} if rate(t) <= target]
    found = choose_threshold(is_positive, p, target)
    assert found.value == min(keeping)
    assert found.negatives == len(negatives)
    assert found.allowed / len(negatives) <= target < (found.allowed + 1) / len(negatives)


def test_with_few_negatives_none_may_be_above_the_threshold() -> None:
    """74 of them give steps of 1.35 %: at most 1 % is none, and at most 2 % is one."""
    negatives = np.linspace(0, 0.73, 74)
    is_positive, p = np.append(np.zeros(74, bool), True), np.append(negatives, 0.99)
    strict, lax = (choose_threshold(is_positive, p, rate) for rate in (0.01, 0.02))
    assert (strict.allowed, strict.value) == (0, 0.73)
    assert (lax.allowed, lax.value) == (1, pytest.approx(0.72))


def test_a_rate_that_is_met_exactly_is_allowed() -> None:
    is_positive = np.zeros(4, bool)
    assert choose_threshold(is_positive, np.array([0.1, 0.2, 0.3, 0.4]), 0.25).value == 0.3


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.915232353, 0.9153),
        (0.91523, 0.9153),
        (0.9153, 0.9153),
        (0.00123456, 0.00124),
        (0.99998765, 0.9999877),
        (0.5, 0.5),
        (0.0, 0.0),
        (1.0, 1.0),
    ],
)
def test_a_threshold_is_short_and_never_lower(value: float, expected: float) -> None:
    assert short(Threshold(value, 74, 0)) == Threshold(expected, 74, 0)


@given(st.floats(1e-9, 1 - 1e-9))
def test_a_short_threshold_keeps_out_what_the_long_one_does(value: float) -> None:
    found = short(Threshold(value, 1, 0)).value
    assert value <= found <= 1
    assert found - value <= 0.0101 * min(value, 1 - value)


@pytest.mark.parametrize("rate", [0.001, 0.01, 0.05, 0.5])
def test_as_many_negatives_as_are_needed_show_the_rate_and_one_fewer_does_not(rate: float) -> None:
    needed = negatives_needed(rate, 0.95)
    enough, too_few = (
        stats.binomtest(0, n).proportion_ci(0.95, method="wilson").high
        for n in (needed, needed - 1)
    )
    assert enough <= rate < too_few


def test_no_number_of_negatives_shows_a_rate_of_zero() -> None:
    assert negatives_needed(0.0, 0.95) is None
    assert negatives_needed(5e-324, 0.95) is None


def test_all_splits_are_judged_by_the_decision_and_as_trained() -> None:
    actual, p = np.array([0, 0, 1, 1]), np.array([0.2, 0.61234, 0.6, 0.9])
    messages = actual, np.column_stack([1 - p, p])
    nothing = np.zeros(0, int), np.zeros((0, 2))
    splits = {"validation": messages, "test": messages, "holdout": nothing}
    found = operating_points(splits, as_trained(["ham", "spam"], 0.613), 0.9)
    assert list(found["at_threshold"]) == ["validation", "test"]
    at_threshold, argmax = found["at_threshold"]["test"], found["argmax"]["test"]
    assert (at_threshold["recall"], at_threshold["false_positive_rate"]) == (0.5, 0)
    assert (argmax["recall"], argmax["false_positive_rate"]) == (1, 0.5)
    assert "unsure" not in at_threshold


def test_a_zone_takes_the_place_of_the_accuracy() -> None:
    actual, p = np.array([0, 0, 1, 1]), np.array([0.2, 0.61234, 0.6, 0.9])
    zone = replace(as_trained(["ham", "spam"], 0.61), unsure_from=0.5)
    found = operating_points({"test": (actual, np.column_stack([1 - p, p]))}, zone, 0.9)
    at_threshold = found["at_threshold"]["test"]
    assert "accuracy" not in at_threshold
    assert "accuracy" in found["argmax"]["test"]
    assert at_threshold["unsure"] == 0.25  # 0.6
    assert (at_threshold["recall"], at_threshold["false_positive_rate"]) == (0.5, 0.5)


def test_figures_are_scikit_learns_with_wilsons_intervals() -> None:
    random = np.random.default_rng(1)
    is_positive, taken = random.random(80) < 0.4, random.random(80) < 0.5
    figures = decision_figures(is_positive, taken, 0.9)
    expected = {
        "accuracy": sk.accuracy_score(is_positive, taken),
        "precision": sk.precision_score(is_positive, taken),
        "recall": sk.recall_score(is_positive, taken),
        "false_positive_rate": 1 - sk.recall_score(~is_positive, ~taken),
    }
    intervals = figures.pop("intervals")
    assert figures == pytest.approx(expected, abs=1e-6)
    wilson = stats.binomtest(int((is_positive & taken).sum()), int(is_positive.sum()))
    low, high = wilson.proportion_ci(0.9, method="wilson")
    assert intervals["recall"] == pytest.approx([low, high], abs=1e-6)
    assert list(intervals) == list(expected)


def test_decisions_counted_by_hand() -> None:
    is_positive = np.array([True, True, True, False, False, False, False])
    taken = np.array([True, True, False, True, False, False, False])
    assert decision_counts(is_positive, taken) == {
        "accuracy": (5, 7),
        "precision": (2, 3),
        "recall": (2, 3),
        "false_positive_rate": (1, 4),
    }


def test_what_cannot_be_told_is_left_out() -> None:
    """A hold-out is of one class; and a precision is that of messages that were flagged."""
    none, both = np.zeros(3, bool), np.array([True, False, False])
    assert decision_counts(none, both) == {"false_positive_rate": (1, 3)}
    assert decision_counts(~none, both) == {"recall": (1, 3)}
    assert set(decision_counts(both, none)) == {"accuracy", "recall", "false_positive_rate"}
