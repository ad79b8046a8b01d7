"""Figures by hand and by scikit-learn, and the corrected t-test against scipy's."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as sk

from spam_gpt2.evaluation.cross_validation import (
    FoldMean,
    comparison,
    cross_validation_metrics,
    fold_figures,
    fold_spread,
    model_metrics,
    same_folds,
    verdict,
)

HAND = np.array([[90, 10], [2, 8]])  # 100 ham, 10 blocked; 10 spam, 8 caught
DIFFERENCES = (0.01, 0.02, 0.03, 0.04, 0.05)


def test_figures_of_a_fold_by_hand() -> None:
    found = fold_figures(HAND)
    mcc = (90 * 8 - 10 * 2) / sqrt(18 * 10 * 100 * 92)
    assert found == pytest.approx(
        {
            "balanced_accuracy": (0.9 + 0.8) / 2,
            "accuracy": 98 / 110,
            "precision": 8 / 18,
            "recall": 0.8,
            "false_positive_rate": 0.1,
            "mcc": mcc,
        }
    )


def test_three_classes_have_macro_averages_and_no_false_positive_rate() -> None:
    counts = np.array([[5, 1, 0], [2, 7, 1], [0, 3, 4]])
    actual = np.repeat([0, 1, 2], counts.sum(1))
    predicted = np.concatenate([np.repeat([0, 1, 2], row) for row in counts])
    found = fold_figures(counts)
    assert found == pytest.approx(
        {
            "balanced_accuracy": sk.balanced_accuracy_score(actual, predicted),
            "accuracy": 16 / 23,
            "precision": sk.precision_score(actual, predicted, average="macro"),
            "recall": sk.recall_score(actual, predicted, average="macro"),
            "mcc": sk.matthews_corrcoef(actual, predicted),
        }
    )


def test_a_classifier_that_never_says_spam_has_figures() -> None:
    found = fold_figures(np.array([[50, 0], [5, 0]]))
    assert (
        found["precision"] == found["recall"] == found["false_positive_rate"] == found["mcc"] == 0
    )
    assert found["balanced_accuracy"] == 0.5


def test_the_corrected_t_test_by_hand() -> None:
    """5 folds: the variance of the mean is (1/5 + 1/4) s^2, not s^2 / 5."""
    it = FoldMean(DIFFERENCES, 1 / 4)
    assert it.mean == pytest.approx(0.03)
    assert it.deviation == pytest.approx(sqrt(2.5) / 100)
    t = 0.03 / (sqrt(2.5) / 100 * sqrt(0.45))
    assert t == pytest.approx(2 * sqrt(2))
    assert it.p_value == pytest.approx(2 * stats.t(4).sf(2 * sqrt(2)))
    assert 0.04 < it.p_value < 0.05 < 5 * stats.ttest_1samp(DIFFERENCES, 0).pvalue
    reach = stats.t(4).ppf(0.975) * 0.03 / t
    assert it.interval(0.95) == pytest.approx((0.03 - reach, 0.03 + reach))


def test_without_shared_messages_it_is_scipys() -> None:
    it, plain = FoldMean(DIFFERENCES, 0.0), stats.ttest_1samp(DIFFERENCES, 0)
    assert it.p_value == pytest.approx(plain.pvalue)
    bounds = plain.confidence_interval(0.9)
    assert it.interval(0.9) == pytest.approx((bounds.low, bounds.high))


def test_a_p_value_below_the_level_is_an_interval_without_0() -> None:
    random = np.random.default_rng(4)
    for _ in range(200):
        it = FoldMean(tuple(random.normal(0.5, 1, 10).tolist()), 1 / 9)
        low, high = it.interval(0.95)
        assert (it.p_value < 0.05) == (not low <= 0 <= high)


def test_the_same_answers_are_no_difference() -> None:
    same, always = FoldMean((0.0,) * 5, 0.25), FoldMean((0.25,) * 5, 0.25)
    assert (same.p_value, same.interval(0.95)) == (1.0, (0.0, 0.0))
    assert always.p_value == 0.0


def counts(right: list[int]) -> list[np.ndarray]:
    """Folds of 20 ham and 10 spam; so many of the spam caught, no ham blocked."""
    return [np.array([[20, 0], [10 - n, n]]) for n in right]


def both(first: list[int], second: list[int]) -> dict[str, Any]:
    of = {"gpt2": counts(first), "baseline": counts(second)}
    return cross_validation_metrics(of, 1 / 3, 0.95, "gpt2-mini")


def test_the_metrics_file_holds_each_fold_and_what_comes_of_them() -> None:
    metrics = model_metrics(counts([9, 8, 10, 9]), 1 / 3, 0.95)
    assert metrics["counts"] == [[80, 0], [4, 36]]
    assert [fold["recall"] for fold in metrics["folds"]] == [0.9, 0.8, 1.0, 0.9]
    assert metrics["recall"]["mean"] == 0.9
    assert metrics["recall"]["deviation"] == round(float(np.std([9, 8, 10, 9], ddof=1)) / 10, 6)
    low, high = metrics["recall"]["interval"]
    assert low < 0.9 - metrics["recall"]["deviation"] / 2 < high


def test_the_comparison_is_by_pairs() -> None:
    """The folds differ more than the models do: only pair by pair does it show."""
    first, second = [9, 4, 8, 6, 10, 7], [8, 3, 7, 5, 9, 5]
    metrics = both(first, second)
    found = metrics["difference"]["recall"]
    assert found["mean"] == pytest.approx(7 / 60, abs=1e-6)
    values = (np.array(first) - second) / 10
    t = values.mean() / (values.std(ddof=1) * sqrt(1 / 6 + 1 / 3))
    assert found["p_value"] == pytest.approx(2 * stats.t(5).sf(t), abs=1e-6)
    assert found["p_value"] < 0.01 < stats.ttest_ind(first, second).pvalue
    mirrored = comparison(metrics["baseline"], metrics["gpt2"], 1 / 3, 0.95)
    assert mirrored["recall"]["mean"] == -found["mean"]
    assert mirrored["recall"]["p_value"] == found["p_value"]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        (
            [9, 9, 9, 10], [7, 7, 7, 7],
            "gpt2-mini is better than the baseline by the folds: balanced accuracy +11.2 points "
            "(+5.2 to +17.3).",
        ),
        (
            [7, 7, 7, 7], [9, 9, 9, 10],
            "The baseline is better than gpt2-mini by the folds: balanced accuracy -11.2 points "
            "(-17.3 to -5.2).",
        ),
        (
            [9, 7, 9, 8], [8, 8, 8, 8],
            "No difference between gpt2-mini and the baseline can be shown by the folds: balanced "
            "accuracy +1.2 points (-10.4 to +12.9).",
        ),
    ],
)  # fmt: skip
def test_the_verdict_is_a_sentence(first: list[int], second: list[int], expected: str) -> None:
    found = both(first, second)["difference"]
    assert verdict(found, "gpt2-mini", "the baseline", 0.95) == expected
    assert both(first, second)["summary"] == expected


def test_what_is_drawn_is_each_fold_and_the_interval() -> None:
    metrics = both([9, 8, 10], [7, 8, 9])
    spread, rising, falling = fold_spread(metrics)
    assert falling == ["false-positive rate"]
    assert rising == ["balanced accuracy", "accuracy", "precision", "recall", "MCC"]
    assert list(spread) == ["gpt2", "baseline"]
    values, bounds = spread["baseline"]["recall"]
    assert values == [0.7, 0.8, 0.9]
    assert bounds == metrics["baseline"]["recall"]["interval"]


def test_only_equal_digests_are_the_same_folds() -> None:
    assert same_folds({"folds_sha256": "a"}, {"folds_sha256": "a"})
    assert not same_folds({"folds_sha256": "a"}, {"folds_sha256": "b"})
    assert not same_folds({}, {})


def test_an_interval_ends_where_the_figure_does() -> None:
    metrics = both([10, 2, 9], [10, 10, 9])
    assert metrics["gpt2"]["recall"]["interval"] == [0.0, 1.0]
    assert metrics["gpt2"]["mcc"]["interval"][1] == 1.0
    assert metrics["difference"]["recall"]["interval"][0] < -1  # a difference goes on
