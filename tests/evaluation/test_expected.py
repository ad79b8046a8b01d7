"""Of 1,000 messages: by hand, and by drawing messages at those shares."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spam_gpt2.classifier.decision import UNSURE_CLASS
from spam_gpt2.evaluation.expected import expected_mistakes


def test_by_hand() -> None:
    """2 of 10 ham are blocked, 1 of 4 spam gets through; spam is one message in ten."""
    actual, decided = np.array([0] * 10 + [1] * 4), np.array([1] * 2 + [0] * 8 + [0] + [1] * 3)
    ham, spam = expected_mistakes(actual, decided, [0.9, 0.1], 0.95)
    wilson = stats.binomtest(2, 10).proportion_ci(0.95, method="wilson")
    assert ham == {
        "messages": 900, "wrong": 180, "seen": 10, "seen_wrong": 2,
        "interval": pytest.approx([900 * wilson.low, 900 * wilson.high], abs=2e-3),
    }  # fmt: skip
    assert (spam["messages"], spam["wrong"]) == (100, 25)


def test_unsure_is_neither_right_nor_wrong() -> None:
    """Of 10 ham 2 are blocked and 3 unsure, of 4 spam 1 gets through and 2 are unsure."""
    decided = [1] * 2 + [UNSURE_CLASS] * 3 + [0] * 5 + [0] + [UNSURE_CLASS] * 2 + [1]
    ham, spam = expected_mistakes(np.array([0] * 10 + [1] * 4), np.array(decided), [0.9, 0.1], 0.95)
    assert (ham["wrong"], ham["unsure"], ham["right"]) == (180, 270, 450)
    assert (spam["wrong"], spam["unsure"], spam["right"]) == (25, 50, 25)
    wilson = stats.binomtest(3, 10).proportion_ci(0.95, method="wilson")
    expected = pytest.approx([900 * wilson.low, 900 * wilson.high], abs=2e-3)
    assert ham["unsure_interval"] == expected


def test_it_is_what_messages_drawn_at_these_shares_give() -> None:
    """Of three classes; here they are equally frequent, there they are not."""
    random = np.random.default_rng(1)
    chances = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.3, 0.1, 0.6]])

    def decisions(actual: np.ndarray) -> np.ndarray:
        return (chances[actual].cumsum(1) < random.random((len(actual), 1))).sum(1)

    here = np.repeat(np.arange(3), 20_000)
    found = expected_mistakes(here, decisions(here), [0.7, 0.2, 0.1], 0.95)
    there = random.choice(3, 200_000, p=[0.7, 0.2, 0.1])
    decided = decisions(there)
    for k, of_class in enumerate(found):
        wrong = 1000 * np.mean((there == k) & (decided != k))
        assert of_class["wrong"] == pytest.approx(wrong, abs=3)
        assert of_class["interval"][0] < of_class["wrong"] < of_class["interval"][1]
