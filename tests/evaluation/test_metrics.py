"""Figures of merit against counts by hand, their definitions and published intervals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from spam_gpt2.evaluation.metrics import (
    classification_metrics,
    confidence_intervals,
    confusion,
)

NAMES = ["accuracy", "precision", "recall", "f1", "roc_auc", "loss"]
Predicted = tuple[np.ndarray, np.ndarray]  # labels (N,), probabilities (N, K)
few_examples = settings(max_examples=25, deadline=None)


def binary(labels: list[int], of_spam: list[float]) -> Predicted:
    """Labels, and probabilities of two classes from those of the second."""
    return np.array(labels), np.array([[1 - p, p] for p in of_spam])


def drawn(n_classes: int, count: int = 60, seed: int = 1) -> Predicted:
    """Random labels, every class among them, and probabilities that are right more often than not.

    A few probabilities are shared by several messages, so that thresholds have ties.
    """
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), random.integers(n_classes, size=count)])
    scores = random.integers(1, 6, (len(labels), n_classes)) + 3 * np.eye(n_classes)[labels]
    scores[random.random(len(labels)) < 0.3] = 1 + np.arange(n_classes)
    return labels, scores / scores.sum(1, keepdims=True)


# Two classes, counted by hand: 3 of 4 spam found, 1 of 4 ham taken for spam.
HAND = binary([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.2, 0.3, 0.8, 0.4, 0.6, 0.7, 0.9])


def test_two_classes_counted_by_hand() -> None:
    figures = classification_metrics(*HAND)
    # Of 16 pairs of a spam and a ham, spam is ranked higher in 3 + 3 + 3 + 4.
    right = [0.9, 0.8, 0.7, 0.2, 0.4, 0.6, 0.7, 0.9]
    assert figures == {
        "accuracy": 6 / 8,
        "precision": 3 / 4,
        "recall": 3 / 4,
        "f1": 3 / 4,
        "roc_auc": 13 / 16,
        "loss": round(-sum(map(math.log, right)) / 8, 6),
    }
    assert list(figures) == NAMES


def test_precision_and_recall_are_those_of_the_last_of_two_classes() -> None:
    labels, probabilities = binary([0, 0, 0, 1, 1], [0.6, 0.7, 0.1, 0.9, 0.2])
    figures = classification_metrics(labels, probabilities)
    assert figures["precision"] == round(1 / 3, 6)
    assert figures["recall"] == 1 / 2
    assert figures["f1"] == 2 / 5
    swapped = classification_metrics(1 - labels, probabilities[:, ::-1])
    assert swapped["precision"] == 1 / 2
    assert swapped["recall"] == round(1 / 3, 6)


def test_without_a_predicted_positive_precision_is_zero_and_nothing_warns(
    recwarn: pytest.WarningsRecorder,
) -> None:
    figures = classification_metrics(*binary([0, 0, 1], [0.1, 0.2, 0.3]))
    assert (figures["precision"], figures["recall"], figures["f1"]) == (0, 0, 0)
    assert figures["accuracy"] == round(2 / 3, 6)
    assert figures["roc_auc"] == 1
    assert not recwarn


def test_three_classes_counted_by_hand() -> None:
    """Macro averages: one message of class 0 is taken for 1, one of class 1 for 2."""
    labels = np.array([0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 1, 1, 2, 2, 2])
    probabilities = np.full((6, 3), 0.2)
    probabilities[np.arange(6), predicted] = 0.6
    figures = classification_metrics(labels, probabilities)
    assert figures["accuracy"] == round(4 / 6, 6)
    assert figures["precision"] == round((1 + 1 / 2 + 2 / 3) / 3, 6)
    assert figures["recall"] == round((1 / 2 + 1 / 2 + 1) / 3, 6)
    assert figures["f1"] == round((2 / 3 + 1 / 2 + 4 / 5) / 3, 6)
    # A pair counts 1 when the class's own message is ranked higher, 1/2 when neither is.
    # Class 0: (4 + 4 / 2) / 8; class 1: (3 + 1 + 3 / 2) / 8; class 2: (2 * 3 + 2 / 2) / 8.
    assert figures["roc_auc"] == round((6 / 8 + 5 / 8 + 7 / 8) / 3, 6)
    assert figures["loss"] == round(-(4 * math.log(0.6) + 2 * math.log(0.2)) / 6, 6)


def rank_auc(is_class: np.ndarray, scores: np.ndarray) -> float:
    """Share of pairs that are in order, a tie being half (Mann & Whitney 1947)."""
    differences = scores[is_class][:, None] - scores[~is_class][None, :]
    return float(np.mean((differences > 0) + 0.5 * (differences == 0)))


@few_examples
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_figures_are_their_definitions(n_classes: int, seed: int) -> None:
    labels, probabilities = drawn(n_classes, seed=seed)
    predicted = probabilities.argmax(1)
    classes = [1] if n_classes == 2 else range(n_classes)
    hits = [np.sum((labels == k) & (predicted == k)) for k in classes]
    precisions = [h / max(1, np.sum(predicted == k)) for k, h in zip(classes, hits, strict=True)]
    recalls = [h / np.sum(labels == k) for k, h in zip(classes, hits, strict=True)]
    both = zip(precisions, recalls, strict=True)
    expected = {
        "accuracy": np.mean(labels == predicted),
        "precision": np.mean(precisions),
        "recall": np.mean(recalls),
        "f1": np.mean([2 * p * r / (p + r) if p + r else 0 for p, r in both]),
        "roc_auc": np.mean([rank_auc(labels == k, probabilities[:, k]) for k in classes]),
        "loss": -np.mean(np.log(probabilities[np.arange(len(labels)), labels])),
    }
    assert classification_metrics(labels, probabilities) == pytest.approx(expected, abs=1e-6)


def test_float32_is_as_good_and_figures_are_plain_floats() -> None:
    labels, probabilities = drawn(3)
    double = classification_metrics(labels, probabilities)
    single = classification_metrics(labels, probabilities.astype(np.float32))
    assert single == pytest.approx(double, abs=2e-6)
    assert {type(value) for value in single.values()} == {float}


def test_a_certain_error_costs_much_but_not_infinity() -> None:
    figures = classification_metrics(*binary([0, 1, 1], [0.0, 1.0, 0.0]))
    assert 10 < figures["loss"] < 15  # -log of the smallest step of a double, over 3 messages


# Intervals.

SETTINGS = {"confidence": 0.95, "resamples": 300, "seed": 123}


@pytest.mark.parametrize("n_classes", [2, 3])
def test_every_figure_has_an_interval_around_it(n_classes: int) -> None:
    labels, probabilities = drawn(n_classes)
    figures = classification_metrics(labels, probabilities)
    intervals = confidence_intervals(labels, probabilities, **SETTINGS)
    assert list(intervals) == NAMES
    for name, (low, high) in intervals.items():
        assert low < figures[name] < high, name


def test_the_interval_of_accuracy_is_wilsons() -> None:
    labels, probabilities = drawn(2, count=98)
    right = int(np.sum(probabilities.argmax(1) == labels))
    expected = stats.binomtest(right, len(labels)).proportion_ci(0.9, method="wilson")
    intervals = confidence_intervals(labels, probabilities, **SETTINGS | {"confidence": 0.9})
    assert intervals["accuracy"] == pytest.approx([expected.low, expected.high], abs=1e-6)


def wilson(count: int, total: int, confidence: float = 0.95) -> list[float]:
    interval = stats.binomtest(count, total).proportion_ci(confidence, method="wilson")
    return [interval.low, interval.high]


def test_precision_and_recall_of_two_classes_have_wilsons_interval() -> None:
    of_spam = [0.1] * 25 + [0.9] * 5 + [0.3] * 8 + [0.8] * 32
    labels, probabilities = binary([0] * 30 + [1] * 40, of_spam)
    intervals = confidence_intervals(labels, probabilities, **SETTINGS)
    assert intervals["recall"] == pytest.approx(wilson(32, 40), abs=1e-6)
    assert intervals["precision"] == pytest.approx(wilson(32, 37), abs=1e-6)


def test_the_interval_of_the_loss_is_the_bootstrap_within_each_class() -> None:
    labels, probabilities = drawn(3)
    random = np.random.default_rng(5)
    members = [np.flatnonzero(labels == k) for k in range(3)]
    resampled = []
    for _ in range(100):
        chosen = np.concatenate([random.choice(of_class, len(of_class)) for of_class in members])
        resampled.append(sk.log_loss(labels[chosen], probabilities[chosen], labels=range(3)))
    changes = {"confidence": 0.9, "resamples": 100, "seed": 5}
    loss = confidence_intervals(labels, probabilities, **changes)["loss"]
    assert loss == pytest.approx(np.percentile(resampled, [5, 95]), abs=2e-6)


def test_a_certain_error_has_a_finite_interval() -> None:
    labels, probabilities = binary([0, 1], [0.0, 0.0])
    loss = confidence_intervals(labels, probabilities, **SETTINGS)["loss"]
    assert loss == pytest.approx([classification_metrics(labels, probabilities)["loss"]] * 2)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_a_perfect_classifier_has_intervals_that_have_a_width(n_classes: int) -> None:
    """36 of 36 may well be 90 %."""
    labels = np.repeat(np.arange(n_classes), 36)
    probabilities = 0.1 + (1 - 0.1 * n_classes) * np.eye(n_classes)[labels]
    intervals = confidence_intervals(labels, probabilities, **SETTINGS)
    del intervals["loss"]  # the same of every message
    assert {high for _, high in intervals.values()} == {1}
    for name, (low, _) in intervals.items():
        assert 0.89 < low < 0.98, name
    if n_classes == 2:
        assert intervals["recall"][0] == pytest.approx(1 / (1 + 1.959964**2 / 36), abs=1e-6)


def test_of_a_precision_without_a_flagged_message_nothing_is_known() -> None:
    labels, probabilities = binary([0, 0, 1], [0.1, 0.2, 0.3])
    assert confidence_intervals(labels, probabilities, **SETTINGS)["precision"] == [0, 1]


@pytest.mark.parametrize("n_classes", [2, 3])
def test_intervals_hold_the_truth_as_often_as_they_say(n_classes: int) -> None:
    """Nearly separable classes of 40: percentiles of a bootstrap are too narrow for them."""

    def messages(count: int, random: np.random.Generator) -> Predicted:
        labels = np.repeat(np.arange(n_classes), count)
        scores = random.normal(size=(len(labels), n_classes)) + 3 * np.eye(n_classes)[labels]
        return labels, np.exp(scores) / np.exp(scores).sum(1, keepdims=True)

    truth = classification_metrics(*messages(20_000, np.random.default_rng(0)))
    names, held = NAMES[:-1], np.zeros(5)
    settings = SETTINGS | {"resamples": 1}
    for seed in range(1, 201):
        intervals = confidence_intervals(*messages(40, np.random.default_rng(seed)), **settings)
        held += [intervals[n][0] <= truth[n] <= intervals[n][1] for n in names]
    few = dict(zip(names, held, strict=True))
    assert held.min() >= 183, few  # of 200; 190 less 2.3 standard deviations


def test_a_rare_class_is_in_every_resample() -> None:
    labels, probabilities = binary([0] * 30 + [1], [0.1, 0.9, 0.3] * 10 + [0.8])
    intervals = confidence_intervals(labels, probabilities, **SETTINGS)
    assert intervals["recall"] == pytest.approx(wilson(1, 1), abs=1e-6)
    assert all(math.isfinite(bound) for pair in intervals.values() for bound in pair)


def test_more_confidence_makes_wider_intervals() -> None:
    labels, probabilities = drawn(3)
    narrow, wide = (
        confidence_intervals(labels, probabilities, **SETTINGS | {"confidence": confidence})
        for confidence in (0.5, 0.99)
    )
    for name in NAMES:
        assert wide[name][0] < narrow[name][0] < narrow[name][1] < wide[name][1], name


def test_more_messages_make_narrower_intervals() -> None:
    labels, probabilities = drawn(2)
    few = confidence_intervals(labels, probabilities, **SETTINGS)
    many = confidence_intervals(np.tile(labels, 9), np.tile(probabilities, (9, 1)), **SETTINGS)
    for name in NAMES:
        ratio = np.diff(few[name])[0] / np.diff(many[name])[0]
        assert 2 < ratio < 4, name  # 3 but for chance and shape


def test_the_seed_of_the_settings_alone_draws_the_resamples() -> None:
    labels, probabilities = drawn(2)

    def intervals(seed: int, global_seed: int) -> dict[str, list[float]]:
        np.random.seed(global_seed)
        return confidence_intervals(labels, probabilities, **SETTINGS | {"seed": seed})

    first = intervals(seed=1, global_seed=1)
    assert intervals(seed=1, global_seed=2) == first
    other = intervals(seed=2, global_seed=1)
    assert other["loss"] != first["loss"]
    assert other["accuracy"] == first["accuracy"]


# Matrices and curves.


def test_confusion_has_true_classes_in_rows_and_predicted_in_columns() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    probabilities = np.eye(4)[[0, 0, 2, 1, 0]]
    expected = [[2, 0, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert confusion(labels, probabilities, 4).tolist() == expected


def test_the_area_of_three_classes_is_scikit_learns_macro_average() -> None:
    labels, probabilities = drawn(3)
    micro = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="micro")
    macro = sk.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert classification_metrics(labels, probabilities)["roc_auc"] == pytest.approx(
        macro, abs=1e-6
    )
    assert micro != pytest.approx(macro, abs=1e-3)
