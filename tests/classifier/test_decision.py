"""Decisions: the shift by hand and on resampled messages, the zone by hand, the file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from decided import save_decision_for
from scipy import stats

from spam_gpt2.classifier.decision import (
    UNSURE_CLASS,
    Decision,
    as_trained,
    load_decision,
)
from spam_gpt2.common.files import InputError

LABELS = ["ham", "spam"]


def decision(**changes: Any) -> Decision:
    """As trained on as much spam as ham, at 0.5."""
    return replace(as_trained(LABELS, 0.5), **changes)


def test_the_shift_by_hand() -> None:
    """Of 0.8 at half spam, with 1 in 10: 0.8 x 0.2 to 0.2 x 1.8, or 16 to 36."""
    p = np.array([[0.2, 0.8], [0.5, 0.5], [1.0, 0.0]])
    with np.errstate(divide="ignore"):
        found = decision(shares=[0.9, 0.1]).probabilities(np.log(p))
    assert found[:, 1] == pytest.approx([16 / 52, 0.1, 0])
    assert found.sum(1) == pytest.approx(1)


def test_the_shift_of_three_classes_by_hand() -> None:
    """0.5, 0.3, 0.2 times 2, 1, 0.5 are 1.0, 0.3, 0.1."""
    rule = Decision(["a", "b", "c"], 1.0, [0.25, 0.25, 0.5], [0.5, 0.25, 0.25], None, None)
    found = rule.probabilities(np.log([[0.5, 0.3, 0.2]]))
    assert found == pytest.approx(np.array([[1.0, 0.3, 0.1]]) / 1.4)


def test_shifted_probabilities_come_true_among_messages_drawn_at_the_other_rate() -> None:
    """Scores of two normal distributions, whose probabilities at half spam are known."""
    random = np.random.default_rng(1)
    is_spam = random.random(400_000) < 0.05
    score = random.normal(np.where(is_spam, 1.0, -1.0))
    at_half = stats.norm.pdf(score, 1) / (stats.norm.pdf(score, 1) + stats.norm.pdf(score, -1))
    p = np.column_stack([1 - at_half, at_half])
    shifted = decision(shares=[0.95, 0.05]).probabilities(np.log(p))[:, 1]
    for low, high in ((0, 0.02), (0.02, 0.1), (0.1, 0.4), (0.4, 0.8)):
        those = (shifted > low) & (shifted <= high)
        assert shifted[those].mean() == pytest.approx(is_spam[those].mean(), abs=0.015)
        assert at_half[those].mean() > is_spam[those].mean() + 0.05  # what it mends


def test_the_temperature_divides_logits_before_the_shift() -> None:
    logits = np.array([[0.0, 3.0]])
    found = decision(temperature=1.5, shares=[0.8, 0.2]).probabilities(logits)
    assert np.log(found[0, 1] / found[0, 0]) == pytest.approx(2 + np.log(0.25))


def test_as_trained_nothing_changes() -> None:
    p = np.array([[0.25, 0.75], [0.9, 0.1], [0.5, 0.5]])
    assert as_trained(LABELS).probabilities(np.log(p)) == pytest.approx(p, abs=1e-15)
    assert as_trained(LABELS).classes(p).tolist() == [1, 0, 0]


def test_logits_beyond_what_a_float_exponentiates_stay_probabilities() -> None:
    found = decision(temperature=0.05).probabilities(np.array([[0.0, 900.0], [-900.0, 0.0]]))
    assert found.tolist() == [[0, 1], [0, 1]]


@pytest.mark.parametrize(
    ("p", "label"),
    [(0.0, "ham"), (0.3, "ham"), (0.31, "unsure"), (0.9, "unsure"), (0.91, "spam"), (1.0, "spam")],
)
def test_the_zone_by_hand(p: float, label: str) -> None:
    """At most 0.3 is ham, above 0.9 spam, and between the two nobody says."""
    rule = decision(threshold=0.9, unsure_from=0.3)
    (found,) = rule.classes(np.array([[1 - p, p]]))
    assert rule.label(found) == label
    assert (found == UNSURE_CLASS) == (label == "unsure")


def test_without_a_zone_a_threshold_leaves_two_labels() -> None:
    p = np.array([0.0, 0.9, 0.91])
    assert decision(threshold=0.9).classes(np.column_stack([1 - p, p])).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shares": [0.9, 0.2]}, "shares: must be one for each label, and sum to 1"),
        ({"training_shares": [1.0]}, "training_shares: must be one for each label, and sum to 1"),
        ({"unsure_from": 0.6}, "unsure_from: must be at most the threshold"),
        ({"threshold": None, "unsure_from": 0.6}, "unsure_from: must be at most the threshold"),
        (
            {"labels": ["unsure", "spam"], "unsure_from": 0.1},
            "unsure_from: a class is called unsure, too",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        decision(**changes)
    assert str(caught.value) == message


def test_a_threshold_is_of_two_classes() -> None:
    with pytest.raises(InputError) as caught:
        as_trained(["a", "b", "c"], 0.5)
    assert str(caught.value) == "threshold: is of two classes, and there are 3"


@pytest.fixture
def card_path(tmp_path: Path) -> Path:
    """A card; what it says does not matter here."""
    path = tmp_path / "classifier/classifier.json"
    path.parent.mkdir()
    path.write_text("{}\n", encoding="utf-8")
    return path


def test_a_saved_decision_comes_back(tmp_path: Path, card_path: Path) -> None:
    assert load_decision(tmp_path, card_path, LABELS) is None
    saved = save_decision_for(card_path, tmp_path, LABELS, threshold=0.9, unsure_from=0.25)
    assert load_decision(tmp_path, card_path, LABELS) == saved


def refusal(decision_dir: Path, card_path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_decision(decision_dir, card_path, LABELS)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"{decision_dir / 'decision.json'}: ")


def test_a_decision_of_another_classifier_is_refused(tmp_path: Path, card_path: Path) -> None:
    save_decision_for(card_path, tmp_path, LABELS)
    card_path.write_text('{"another": 1}\n', encoding="utf-8")
    expected = (
        f"chosen for another classifier than the one in {card_path.parent}; run "
        "`dvc repro reports/dvc.yaml:calibrate`"
    )
    assert refusal(tmp_path, card_path) == expected
    save_decision_for(card_path, tmp_path, ["no", "yes"])
    assert refusal(tmp_path, card_path) == expected


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("temperature", 0, "temperature: must be above 0, not 0"),
        ("threshold", 1.5, "threshold: must be at most 1, not 1.5"),
        ("unsure_from", 0.95, "unsure_from: must be at most the threshold"),
        ("shares", [0.5, 0.4], "shares: must be one for each label, and sum to 1"),
        ("shares", [1.0, 0.0], "shares.1: must be above 0, not 0.0"),
        ("card_sha256", "abc", "card_sha256: must match ^[0-9a-f]{64}$, not \"abc\""),
        ("code", "import os", "code: unknown key, misspelt or of another version"),
    ],
)  # fmt: skip
def test_a_damaged_decision_is_refused(
    tmp_path: Path, card_path: Path, key: str, value: object, problem: str
) -> None:
    save_decision_for(card_path, tmp_path, LABELS, threshold=0.9)
    path = tmp_path / "decision.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(values | {key: value}), encoding="utf-8")
    assert refusal(tmp_path, card_path) == (
        f"not a decision of this version: {problem}; run `dvc repro reports/dvc.yaml:calibrate`"
    )
