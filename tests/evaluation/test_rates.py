"""Figures at other rates against messages that were drawn at those rates."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import overlapping

from spam_gpt2.classifier.decision import as_trained
from spam_gpt2.common.params import Calibrate, Costs
from spam_gpt2.evaluation.calibration import (
    expected_calibration_error,
    log_probabilities,
    reliability,
)
from spam_gpt2.evaluation.choice import Validation
from spam_gpt2.evaluation.rates import at_rates, decision_costs, rates_panels
from spam_gpt2.figures.charts import bars_figure

LABELS = ["ham", "spam"]
GIVEN = Calibrate(
    prevalence=0.2, false_positive_rate=0.1, costs=Costs(missed=1, blocked=5), unsure=None, bins=5
)


def messages(spam: int, ham: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Classes, and probabilities that are true where half of the messages are spam."""
    random = np.random.default_rng(seed)
    actual = np.repeat([1, 0], [spam, ham])
    p = 1 / (1 + np.exp(-2 * random.normal(2 * actual - 1)))
    return actual, np.column_stack([1 - p, p])


@pytest.fixture(scope="module")
def validation() -> Validation:
    return Validation(LABELS, *messages(5_000, 5_000, 1), [0.5, 0.5], GIVEN)


def test_figures_are_those_of_messages_drawn_at_the_rate(validation: Validation) -> None:
    """Those here are of as much spam as ham; there it is one in twenty."""
    decision = validation.choose([0.8, 0.2])
    found = at_rates(*messages(200_000, 200_000, 2), decision, validation, 0.95)
    assert list(found) == ["0.01", "0.05", "0.13", "0.5"]
    actual, p = messages(20_000, 380_000, 3)
    ways = as_trained(LABELS), decision, validation.choose([0.95, 0.05])
    for figures, way in zip(found["0.05"].values(), ways, strict=True):
        there = way.probabilities(log_probabilities(p))
        decided = way.classes(there)
        missed, blocked = (decided[actual == 1] == 0).sum(), (decided[actual == 0] == 1).sum()
        assert figures["cost"] == pytest.approx(1000 * (missed + 5 * blocked) / 400_000, rel=0.05)
        error = expected_calibration_error(reliability(actual, there, GIVEN.bins))
        assert figures["expected_calibration_error"] == pytest.approx(error, abs=0.003)


def test_the_decision_for_a_rate_is_the_best_there(validation: Validation) -> None:
    found = at_rates(*messages(50_000, 50_000, 2), validation.choose([0.8, 0.2]), validation, 0.95)
    for rate, ways in found.items():
        best = ways["for_rate"]
        assert best["cost"] <= 1.01 * min(way["cost"] for way in ways.values()), rate
        assert best["expected_calibration_error"] < 0.02
    assert found["0.01"]["as_trained"]["expected_calibration_error"] > 0.2
    assert found["0.01"]["as_trained"]["cost"] > 10 * found["0.01"]["for_rate"]["cost"]


def test_the_cost_is_that_of_the_decisions_own_rate(validation: Validation) -> None:
    here = messages(10_000, 10_000, 2)
    decision = validation.choose([0.95, 0.05])
    found = decision_costs(*here, decision, GIVEN, 0.95)
    expected = at_rates(*here, decision, validation, 0.95)["0.05"]
    names = ("as_trained", "decision")
    intervals = {name: expected[name]["cost_interval"] for name in names}
    assert found == {n: expected[n]["cost"] for n in names} | {"intervals": intervals}


def test_without_costs_mistakes_are_counted() -> None:
    """Of 4 spam 1 is missed, of 10 ham 2 are blocked: at 1 %, 2.5 and 198 of 1,000."""
    given = GIVEN.model_copy(update={"costs": None})
    p = np.array([0.2, 0.8, 0.8, 0.8] + [0.9] * 2 + [0.1] * 8)
    actual, both = np.repeat([1, 0], [4, 10]), np.column_stack([1 - p, p])
    it = Validation(LABELS, actual, both, [0.5, 0.5], given)
    found = at_rates(actual, both, as_trained(LABELS, 0.5), it, 0.95)
    assert found["0.01"]["as_trained"]["cost"] == pytest.approx(2.5 + 198)
    panels = rates_panels(found, "spam", given)
    assert list(panels) == ["mistakes of 1,000", "calibration error, %"]
    table = panels["mistakes of 1,000"]
    assert table.loc["1 % spam", "as trained"] == pytest.approx(200.5)
    assert list(table.index) == ["1 % spam", "5 % spam", "13 % spam", "50 % spam"]


def test_no_words_of_the_picture_cover_each_other(validation: Validation) -> None:
    found = at_rates(*messages(500, 900, 2), validation.choose([0.8, 0.2]), validation, 0.95)
    for positive in ("spam", "a class with a long name that is cut"):
        panels = rates_panels(found, positive, GIVEN)
        assert overlapping(bars_figure(panels, title="At other shares", note="gpt2")) == []
