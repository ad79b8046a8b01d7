"""Figures of every writing against scikit-learn, and their distance to the first."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from spam_gpt2.evaluation.robustness import robustness_table

ACTUAL = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1])
PREDICTED = {
    "unchanged": np.array([0, 0, 0, 1, 1, 1, 1, 1, 0]),
    "upper_case": np.array([1, 0, 1, 1, 1, 1, 1, 1, 1]),
    "spaced_words": np.array([0, 0, 0, 0, 0, 0, 1, 0, 0]),
}


def test_two_classes_have_recall_and_false_positives_too() -> None:
    table = robustness_table(ACTUAL, PREDICTED, 2)
    assert list(table.index) == list(PREDICTED)
    for writing, taken in PREDICTED.items():
        row = table.loc[writing]
        assert row["accuracy"] == pytest.approx(sk.accuracy_score(ACTUAL, taken), abs=1e-6)
        assert row["recall"] == pytest.approx(sk.recall_score(ACTUAL, taken), abs=1e-6)
        specificity = sk.recall_score(ACTUAL, taken, pos_label=0)
        assert row["false_positive_rate"] == pytest.approx(1 - specificity, abs=1e-6)


def test_changes_are_those_from_the_first_writing() -> None:
    table = robustness_table(ACTUAL, PREDICTED, 2)
    changes = [column for column in table if column.endswith("_change")]
    assert len(changes) == 3
    assert (table.loc["unchanged", changes] == 0).all()
    assert table.loc["upper_case", "false_positive_rate_change"] == pytest.approx(0.5)
    assert table.loc["spaced_words", "recall_change"] == pytest.approx(-0.6)
    assert table.loc["spaced_words", "accuracy_change"] == pytest.approx(-2 / 9, abs=1e-6)


def test_three_classes_have_their_accuracy() -> None:
    actual = np.array([0, 1, 2, 2])
    predicted = {"unchanged": np.array([0, 1, 2, 0]), "lower_case": np.array([0, 2, 2, 2])}
    table = robustness_table(actual, predicted, 3)
    assert table.to_dict("list") == {"accuracy": [0.75, 0.75], "accuracy_change": [0, 0]}
