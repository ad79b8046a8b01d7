"""What validation chooses: by hand, for each rule, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Calibrate, Costs
from spam_gpt2.evaluation.choice import (
    Validation,
    check_classes,
    class_shares,
    threshold_as_trained,
)

LABELS = ["ham", "spam"]
COSTS = Costs(missed=1, blocked=9)


def given(**changes: Any) -> Calibrate:
    values = {
        "prevalence": "data",
        "false_positive_rate": 0.1,
        "costs": None,
        "unsure": None,
        "bins": 10,
    }
    return Calibrate(**values | changes)


def validation(**changes: Any) -> Validation:
    """40 messages, half of them spam, whose scores overlap; trained on as much spam as ham."""
    random = np.random.default_rng(5)
    actual = np.repeat([0, 1], 20)
    p = 1 / (1 + np.exp(-3 * random.normal(2 * actual - 1)))
    return Validation(LABELS, actual, np.column_stack([1 - p, p]), [0.5, 0.5], given(**changes))


def test_shares_are_those_of_training_those_read_or_the_one_given() -> None:
    half = [0.5, 0.5]
    assert class_shares([8, 8], [30, 10], None) == (half, half)
    assert class_shares([8, 8], [30, 10], "data") == (half, [0.75, 0.25])
    assert class_shares([8, 8], [30, 10], 0.01) == (half, [0.99, 0.01])
    assert class_shares([6, 3, 3], [1, 1, 2], "data") == ([0.5, 0.25, 0.25], [0.25, 0.25, 0.5])


def test_the_rule_of_a_false_positive_rate_keeps_it() -> None:
    """2 of 20 ham are above the threshold, and it is the shifted probability of the third."""
    it = validation()
    decision = it.choose([0.9, 0.1])
    p = it.probabilities_of(decision)[:, 1]
    third = np.sort(p[:20])[-3]
    assert third <= decision.threshold < third * 1.01
    assert (p[:20] > decision.threshold).sum() == 2
    assert decision.unsure_from is None
    assert decision.temperature > 1.3  # logits are three times what they should be
    about = it.about(decision, 0.95)
    assert (about["negatives"], about["allowed"]) == (20, 2)
    assert about["value"] == decision.threshold


def test_another_rate_of_spam_moves_the_threshold_and_not_what_is_above_it() -> None:
    it = validation()
    rare, common = it.choose([0.99, 0.01]), it.choose([0.5, 0.5])
    assert rare.threshold < common.threshold
    above = [it.probabilities_of(d)[:, 1] > d.threshold for d in (rare, common)]
    assert above[0].tolist() == above[1].tolist()


def test_costs_go_before_the_rate() -> None:
    decision = validation(costs=COSTS).choose([0.9, 0.1])
    assert (decision.threshold, decision.unsure_from) == (0.9, None)
    decision = validation(costs=COSTS, unsure=0.18).choose([0.9, 0.1])
    assert (decision.threshold, decision.unsure_from) == (0.98, 0.18)


def test_the_threshold_as_trained_parts_the_same_messages() -> None:
    it = validation(costs=COSTS)
    for shares in ([0.8, 0.2], [0.5, 0.5], [0.3, 0.7]):
        decision = it.choose(shares)
        after = it.probabilities_of(decision)[:, 1] > decision.threshold
        before = it.probabilities[:, 1] > threshold_as_trained(decision)
        assert before.tolist() == after.tolist()
        assert 0 < after.sum() < 40


def test_what_is_too_easy_to_fit_a_temperature_gets_none() -> None:
    p = np.array([0.1, 0.2, 0.8, 0.9])
    easy = Validation(LABELS, np.array([0, 0, 1, 1]), np.column_stack([1 - p, p]), [0.5, 0.5],
                      given())  # fmt: skip
    assert easy.temperature == 1.0


def test_three_classes_have_shares_and_a_temperature_and_no_threshold() -> None:
    p = np.full((6, 3), 0.2) + 0.4 * np.eye(3)[[0, 1, 2, 0, 1, 1]]
    it = Validation(["a", "b", "c"], np.array([0, 1, 2, 0, 1, 2]), p, [1 / 3] * 3, given())
    decision = it.choose([0.6, 0.2, 0.2])
    assert (decision.threshold, decision.unsure_from) == (None, None)
    assert decision.shares == [0.6, 0.2, 0.2]
    assert it.rule == "the most probable class"
    check_classes(given(), it.labels)
    check_classes(given(prevalence=None), it.labels)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prevalence": 0.5}, "prevalence: is of two classes, and there are 3; set it to data or "
         "null"),
        ({"costs": COSTS}, "costs: is of two classes, and there are 3; set it to null"),
    ],
)  # fmt: skip
def test_what_is_of_two_classes_is_refused_for_three(changes: dict[str, Any], message: str) -> None:
    check_classes(given(**changes), LABELS)
    with pytest.raises(InputError) as caught:
        check_classes(given(**changes), ["a", "b", "c"])
    assert str(caught.value) == f"params.yaml: calibrate.{message}"


def test_a_class_that_is_called_unsure_leaves_no_room_for_the_zone() -> None:
    check_classes(given(), ["sure", "unsure"])
    with pytest.raises(InputError) as caught:
        check_classes(given(costs=COSTS, unsure=0.1), ["sure", "unsure"])
    assert str(caught.value) == (
        "params.yaml: calibrate.unsure: a class is called unsure, too; set it to null"
    )
