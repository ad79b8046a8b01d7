"""Figures on messages from elsewhere: counted by hand, and those that test has."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from spam_gpt2.classifier.decision import Decision, as_trained
from spam_gpt2.common.params import Evaluate
from spam_gpt2.evaluation.external import (
    Judges,
    drift,
    external_figures,
    right_rows,
    right_table,
    save_right,
)
from spam_gpt2.evaluation.metrics import classification_metrics, confidence_intervals

SETTINGS = Evaluate(confidence=0.95, resamples=100, seed=1)
ACTUAL = np.array([0, 0, 0, 1, 1, 1, 1])
SPAM = np.array([0.1, 0.7, 0.2, 0.9, 0.8, 0.4, 0.6])
PROBABILITIES = np.column_stack([1 - SPAM, SPAM])
ORIGINS = ["ham", "ham", "ham", "spam", "spam", "smishing", "smishing"]


def test_shares_are_those_that_are_counted() -> None:
    found = external_figures(ACTUAL, PROBABILITIES, ORIGINS, SETTINGS)
    assert found["accuracy"] == pytest.approx(5 / 7, abs=1e-6)
    assert found["recall"] == pytest.approx(3 / 4)
    assert found["precision"] == pytest.approx(3 / 4)
    assert found["false_positive_rate"] == pytest.approx(1 / 3, abs=1e-6)
    assert found["confusion"] == [[2, 1], [1, 3]]
    shares = {k: (v["messages"], v["right"]) for k, v in found["by_label"].items()}
    assert shares == {"ham": (3, 0.666667), "smishing": (2, 0.5), "spam": (2, 1.0)}
    low, high = found["by_label"]["spam"]["interval"]
    z = 1.959964
    assert (low, high) == (pytest.approx(2 / (2 + z**2), abs=1e-5), 1.0)  # Wilson's, of 2 of 2


class Said:
    """In place of a classifier or a baseline: it says what it is told to."""

    card = SimpleNamespace(labels=["ham", "spam"])

    def predict(self, texts: list[str]) -> list[SimpleNamespace]:
        return [SimpleNamespace(probabilities=row) for row in PROBABILITIES]

    def predict_proba(self, texts: list[str]) -> np.ndarray:
        return PROBABILITIES


@pytest.mark.parametrize(
    ("decision", "expected"),
    [
        (as_trained(["ham", "spam"], 0.65), {"recall": 2 / 4, "false_positive_rate": 1 / 3}),
        # At 0.6 and 0.7 a person looks: then there is no accuracy, but the share of these.
        (
            Decision(["ham", "spam"], 1.0, [0.5, 0.5], [0.5, 0.5], 0.75, 0.5),
            {"recall": 2 / 4, "false_positive_rate": 0.0, "unsure": 2 / 7},
        ),
        # With the odds of spam at a ninth of those in training, only 0.9 is left at a half.
        (
            Decision(["ham", "spam"], 1.0, [0.5, 0.5], [0.9, 0.1], 0.49, None),
            {"recall": 1 / 4, "false_positive_rate": 0.0, "accuracy": 4 / 7},
        ),
        (None, None),
    ],
)
def test_the_saved_decision_has_rates_of_its_own(
    decision: Decision | None, expected: dict[str, float] | None
) -> None:
    messages = pd.DataFrame({"label": np.array(["ham", "spam"])[ACTUAL], "origin": ORIGINS})
    judged = Judges(Said(), Said(), SETTINGS, decision).judge(messages.assign(text="a"))
    assert judged.figures["gpt2"]["accuracy"] == pytest.approx(5 / 7, abs=1e-6)
    found = judged.figures["gpt2"].get("decision")
    if expected is None:
        assert found is None
        return
    assert {name: found[name] for name in expected} == pytest.approx(expected, abs=1e-6)
    assert found["intervals"].keys() == found.keys() - {"intervals"}
    assert "decision" not in judged.figures["baseline"]


def test_figures_and_intervals_are_those_of_test() -> None:
    found = external_figures(ACTUAL, PROBABILITIES, ORIGINS, SETTINGS)
    expected = classification_metrics(ACTUAL, PROBABILITIES)
    assert {name: found[name] for name in expected} == expected
    bounds = confidence_intervals(ACTUAL, PROBABILITIES, confidence=0.95, resamples=100, seed=1)
    assert {name: found["intervals"][name] for name in bounds} == bounds


def test_with_one_class_alone_only_what_can_be_told_is_there() -> None:
    spam = external_figures(ACTUAL[3:], PROBABILITIES[3:], ORIGINS[3:], SETTINGS)
    assert (spam["accuracy"], spam["recall"]) == (0.75, 0.75)
    ham = external_figures(ACTUAL[:3], PROBABILITIES[:3], ORIGINS[:3], SETTINGS)
    assert ham["false_positive_rate"] == pytest.approx(1 / 3, abs=1e-6)
    for found, other in ((spam, "false_positive_rate"), (ham, "recall")):
        assert not {other, "precision", "roc_auc", "loss"} & found.keys()
        assert found["intervals"].keys() == found.keys() & found["intervals"].keys()
        assert "accuracy" in found["intervals"]


def test_three_classes_have_no_false_positive_rate() -> None:
    p = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4], [0.6, 0.2, 0.2]])
    found = external_figures(np.array([0, 1, 2, 1]), p, ["a", "b", "c", "b"], SETTINGS)
    assert found["accuracy"] == 0.75
    assert "false_positive_rate" not in found
    assert found["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_drift_is_counted_by_hand() -> None:
    own = [[1, 2], [2, 3, 9]]  # 9 stands in no training message
    other = [[7, 7, 1], [8], [1, 2, 3, 4, 5, 6]]
    own_p = np.array([[0.9, 0.1], [0.2, 0.8]])
    other_p = np.array([[0.85, 0.15], [0.5, 0.5], [0.4, 0.6]])
    found = drift([[1, 2, 3], [4, 5]], {"own_test": (own, own_p), "external": (other, other_p)})
    assert found["own_test"]["unseen_tokens"] == pytest.approx(1 / 5)
    assert found["external"]["unseen_tokens"] == pytest.approx(4 / 10)  # 7, 7, 8 and 6
    assert found["external"]["tokens_mean"] == pytest.approx(10 / 3, abs=1e-6)
    assert found["external"]["tokens_median"] == 3
    assert found["external"]["confidence_mean"] == pytest.approx(0.65)
    # Below 0.8 lie two of three confidences there, and none here: the largest gap.
    assert found["external"]["confidence_distance"] == pytest.approx(2 / 3, abs=1e-6)
    assert "confidence_distance" not in found["own_test"]


def test_the_table_has_a_row_for_all_and_for_each_label() -> None:
    figures = external_figures(ACTUAL, PROBABILITIES, ORIGINS, SETTINGS)
    table = right_table(right_rows("mine", {"gpt2": figures, "baseline": figures}))
    assert table["model"].tolist() == ["gpt2"] * 4 + ["baseline"] * 4
    assert table["label"].tolist() == ["", "ham", "smishing", "spam"] * 2
    assert table["messages"].tolist() == [7, 3, 2, 2] * 2
    assert (table["low"] <= table["right"]).all()
    assert (table["right"] <= table["high"]).all()
    one = external_figures(ACTUAL[:3], PROBABILITIES[:3], ORIGINS[:3], SETTINGS)
    assert len(right_rows("mine", {"gpt2": one})) == 1  # all are of one label
    assert right_table([]).columns.tolist() == table.columns.tolist()


def test_the_picture_is_drawn_of_labels_of_any_kind(tmp_path) -> None:
    origins = ["<b>$x$", "日本", "日本", *ORIGINS[3:]]
    figures = external_figures(ACTUAL, PROBABILITIES, origins, SETTINGS)
    rows = right_rows("mine", {"gpt2": figures, "baseline": figures})
    assert not any(math.isnan(row["right"]) for row in rows)
    for name in ("one", "two"):
        save_right(tmp_path / f"{name}.png", pd.DataFrame(rows), note="gpt2-mini")
    one, two = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "two"))
    assert one == two
    assert one.startswith(b"\x89PNG")
