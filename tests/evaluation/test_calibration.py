"""Calibration by hand-counted cases, scikit-learn's curve, and temperatures known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from spam_gpt2.evaluation.calibration import (
    TEMPERATURES,
    calibration_figures,
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
    reliability,
    with_intervals,
    with_temperature,
)


def binary(*of_spam: float) -> np.ndarray:
    """Probabilities (N, 2) from those of the positive class."""
    return np.column_stack([1 - np.array(of_spam), of_spam])


def softmax(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits)
    return odds / odds.sum(1, keepdims=True)


def drawn(n_classes: int, count: int, seed: int, temperature: float = 1.0) -> tuple:
    """Classes that are drawn as the probabilities say, if these are at the temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (count, n_classes))
    truth = softmax(logits / temperature)
    labels = (truth.cumsum(1) < random.random((count, 1))).sum(1)
    return labels, softmax(logits)


def test_two_classes_counted_by_hand() -> None:
    """Bins of a quarter; 0.25 belongs to the first one, and the third is empty."""
    labels = np.array([0, 1, 0, 1, 1])
    bins = reliability(labels, binary(0.05, 0.25, 0.45, 0.85, 0.95), 4)
    assert bins.to_dict("list") == {
        "from": [0, 0.25, 0.75],
        "to": [0.25, 0.5, 1],
        "messages": [2, 1, 2],
        "probability": [pytest.approx(0.15), pytest.approx(0.45), pytest.approx(0.9)],
        "share": [0.5, 0, 1],
    }
    expected = (2 * 0.35 + 1 * 0.45 + 2 * 0.1) / 5
    assert expected_calibration_error(bins) == pytest.approx(expected)


def test_of_three_classes_it_is_the_predicted_one_that_counts() -> None:
    probabilities = np.array([[0.7, 0.2, 0.1], [0.2, 0.75, 0.05], [0.4, 0.3, 0.3], [0.05, 0, 0.95]])
    bins = reliability(np.array([0, 2, 0, 2]), probabilities, 2)
    assert bins["messages"].tolist() == [1, 3]
    assert bins["probability"].tolist() == pytest.approx([0.4, 0.8])
    assert bins["share"].tolist() == pytest.approx([1, 2 / 3])
    assert expected_calibration_error(bins) == pytest.approx((0.6 + 3 * (0.8 - 2 / 3)) / 4)


@pytest.mark.parametrize("n_bins", [2, 5, 10, 15])
@pytest.mark.parametrize("n_classes", [2, 4])
def test_the_curve_is_scikit_learns(n_bins: int, n_classes: int) -> None:
    labels, probabilities = drawn(n_classes, 300, seed=n_bins)
    if n_classes == 2:
        is_so, stated = labels == 1, probabilities[:, 1]
    else:
        is_so, stated = labels == probabilities.argmax(1), probabilities.max(1)
    share, probability = calibration_curve(is_so, stated, n_bins=n_bins, strategy="uniform")
    bins = reliability(labels, probabilities, n_bins)
    assert bins["share"].to_numpy() == pytest.approx(share)
    assert bins["probability"].to_numpy() == pytest.approx(probability)


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30),
    st.integers(1, 12),
)
def test_every_message_is_in_the_bin_that_it_belongs_to(
    messages: list[tuple[float, bool]], n_bins: int
) -> None:
    stated, is_so = (np.array(column) for column in zip(*messages, strict=True))
    bins = reliability(is_so.astype(int), binary(*stated), n_bins)
    assert bins["messages"].sum() == len(messages)
    for row in bins.itertuples(index=False):
        start, end, count = row[0], row[1], row[2]
        inside = (stated > start) & (stated <= end) | (stated == 0) & (start == 0)
        assert count == inside.sum()
    assert 0 <= expected_calibration_error(bins) <= 1


def test_a_message_of_weight_three_counts_as_three() -> None:
    labels, probabilities = drawn(2, 40, seed=2)
    weights = np.resize([1.0, 3.0, 2.0], 40)
    each = np.repeat(np.arange(40), weights.astype(int))
    found = reliability(labels, probabilities, 5, weights)
    expected = reliability(labels[each], probabilities[each], 5)
    pd.testing.assert_frame_equal(found, expected, check_dtype=False)
    error = expected_calibration_error(found)
    assert error == pytest.approx(expected_calibration_error(expected))
    assert error == pytest.approx(
        expected_calibration_error(reliability(labels, probabilities, 5, weights / 80))
    )


def test_probabilities_that_are_true_have_a_small_error_and_exaggerated_ones_a_large_one() -> None:
    labels, probabilities = drawn(2, 20_000, seed=1)
    honest = calibration_figures(labels, probabilities, 10)
    exaggerated = calibration_figures(labels, with_temperature(probabilities, 0.3), 10)
    assert honest["expected_calibration_error"] < 0.02
    assert exaggerated["expected_calibration_error"] > 0.1
    assert exaggerated["loss"] > honest["loss"]


@pytest.mark.parametrize("n_classes", [2, 5])
def test_cross_entropy_is_scikit_learns(n_classes: int) -> None:
    labels, probabilities = drawn(n_classes, 100, seed=2)
    expected = log_loss(labels, probabilities, labels=range(n_classes))
    assert cross_entropy(labels, probabilities) == pytest.approx(expected, rel=1e-9)


def test_a_probability_of_zero_costs_much_but_not_infinity() -> None:
    assert 700 < cross_entropy(np.array([1]), binary(0.0)) < math.inf


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7, 4.0])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_the_temperature_that_was_drawn_with_is_found(temperature: float, n_classes: int) -> None:
    labels, probabilities = drawn(n_classes, 20_000, seed=3, temperature=temperature)
    assert fit_temperature(labels, probabilities) == pytest.approx(temperature, rel=0.05)


def test_no_other_temperature_of_a_grid_is_better() -> None:
    labels, probabilities = drawn(2, 150, seed=4, temperature=2.5)
    best = cross_entropy(
        labels, with_temperature(probabilities, fit_temperature(labels, probabilities))
    )
    for temperature in np.geomspace(*TEMPERATURES, 200):
        assert cross_entropy(labels, with_temperature(probabilities, temperature)) > best - 1e-9


def test_temperature_divides_the_logits() -> None:
    logits = np.random.default_rng(5).normal(0, 3, (20, 3))
    np.testing.assert_allclose(with_temperature(softmax(logits), 2.5), softmax(logits / 2.5))
    np.testing.assert_allclose(with_temperature(softmax(logits), 1), softmax(logits))


def test_temperature_leaves_the_order_of_classes_alone() -> None:
    _, probabilities = drawn(4, 50, seed=6)
    for temperature in TEMPERATURES:
        scaled = with_temperature(probabilities, temperature)
        assert (scaled.argmax(1) == probabilities.argmax(1)).all()
        np.testing.assert_allclose(scaled.sum(1), 1)


def test_messages_that_are_all_right_end_at_the_lowest_temperature() -> None:
    found = fit_temperature(np.array([0, 1, 1]), binary(0.2, 0.7, 0.9))
    assert found == pytest.approx(TEMPERATURES[0], rel=1e-3)


def test_so_do_messages_that_are_right_beyond_what_a_float_can_tell() -> None:
    """Their loss is 0 at many a temperature, none of which is better than the lowest."""
    for margin in (6, 14, 20, 30):
        unsure = 1 / (1 + np.exp(margin))
        found = fit_temperature(np.array([0, 1, 1]), binary(unsure, 1 - unsure, 1 - unsure))
        assert found == pytest.approx(TEMPERATURES[0], rel=1e-3), margin


def test_shares_of_bins_have_wilsons_intervals() -> None:
    labels = np.array([0, 0, 1, 1, 1, 1])
    bins = reliability(labels, binary(0.1, 0.2, 0.3, 0.9, 0.95, 0.99), 2)
    table = with_intervals(bins, 0.9)
    assert table[list(bins)].equals(bins)
    for (low, high), (hits, total) in zip(
        table[["low", "high"]].to_numpy(), ((1, 3), (3, 3)), strict=True
    ):
        wilson = stats.binomtest(hits, total).proportion_ci(0.9, method="wilson")
        assert (low, high) == pytest.approx((wilson.low, wilson.high), abs=1e-6)
