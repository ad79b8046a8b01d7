"""Curves over all thresholds, counted by hand and threshold by threshold."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from spam_gpt2.evaluation import curves as module
from spam_gpt2.evaluation.curves import (
    curves_table,
    precision_recall_curves,
    roc_curves,
    save_threshold_curves,
)
from spam_gpt2.figures.curves import PRECISION_RECALL, ROC

Predicted = tuple[np.ndarray, np.ndarray]  # labels (N,), probabilities (N, K)
LABELS = np.array([0, 0, 0, 0, 1, 1, 1, 1])
OF_SPAM = np.array([0.1, 0.2, 0.3, 0.8, 0.4, 0.6, 0.7, 0.9])
HAND = LABELS, np.column_stack([1 - OF_SPAM, OF_SPAM])
TWO = ["ham", "spam"]


def drawn(n_classes: int, seed: int = 1) -> Predicted:
    """Random labels, every class among them, and probabilities with ties, better than chance."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(n_classes), random.integers(n_classes, size=60)])
    scores = random.integers(1, 6, (len(labels), n_classes)) + 3 * np.eye(n_classes)[labels]
    return labels, scores / scores.sum(1, keepdims=True)


def test_the_roc_curve_counted_by_hand() -> None:
    """Scores from high to low: spam, ham, spam, spam, spam, ham, ham, ham. Corners are enough."""
    [curve] = roc_curves(*HAND, TWO)
    corners = [(0, 0), (0, 0.25), (0.25, 0.25), (0.25, 1), (1, 1)]
    assert list(zip(curve.xs, curve.ys, strict=True)) == corners
    assert (curve.name, curve.is_average, curve.area) == ("spam", False, 13 / 16)


def test_the_precision_recall_curve_counted_by_hand() -> None:
    [curve] = precision_recall_curves(*HAND, TWO)
    expected = [
        (0, 1),  # no message is flagged
        (1 / 4, 1 / 1),
        (1 / 4, 1 / 2),
        (2 / 4, 2 / 3),
        (3 / 4, 3 / 4),
        (4 / 4, 4 / 5),
        (4 / 4, 4 / 6),
        (4 / 4, 4 / 7),
        (4 / 4, 4 / 8),
    ]
    assert np.column_stack([curve.xs, curve.ys]) == pytest.approx(np.array(expected))
    assert curve.area == pytest.approx((1 + 2 / 3 + 3 / 4 + 4 / 5) / 4)


def by_threshold(is_class: np.ndarray, scores: np.ndarray) -> tuple[set, set]:
    """Points (false- and true-positive rate) and (recall, precision), threshold by threshold."""
    roc, precision_recall = {(0.0, 0.0)}, {(0.0, 1.0)}
    for threshold in scores:
        flagged = scores >= threshold
        hits = np.sum(flagged & is_class)
        recall = hits / np.sum(is_class)
        roc.add((round(np.sum(flagged & ~is_class) / np.sum(~is_class), 9), round(recall, 9)))
        precision_recall.add((round(recall, 9), round(hits / np.sum(flagged), 9)))
    return roc, precision_recall


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6))
@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_each_class_has_its_curve_over_all_thresholds(n_classes: int, seed: int) -> None:
    labels, probabilities = drawn(n_classes, seed)
    names = [f"class {k}" for k in range(n_classes)]
    classes = [1] if n_classes == 2 else range(n_classes)
    of_class = [
        [curve for curve in curves_of(labels, probabilities, names) if not curve.is_average]
        for curves_of in (roc_curves, precision_recall_curves)
    ]
    for k, roc, precision_recall in zip(classes, *of_class, strict=True):
        points, precisions = by_threshold(labels == k, probabilities[:, k])
        assert roc.name == precision_recall.name == f"class {k}"
        assert set(zip(roc.xs.round(9), roc.ys.round(9), strict=True)) <= points
        found = set(zip(precision_recall.xs.round(9), precision_recall.ys.round(9), strict=True))
        assert found == precisions
        assert np.trapezoid(roc.ys, roc.xs) == pytest.approx(roc.area)
        for curve in (roc, precision_recall):
            assert np.all(np.diff(curve.xs) >= 0)
            assert curve.xs[-1] == 1


def steps(xs: np.ndarray, ys: np.ndarray) -> float:
    """Area under steps: ys[i] holds from xs[i - 1] to xs[i]."""
    return float(np.diff(xs) @ ys[1:])


@pytest.mark.parametrize("seed", range(5))
def test_the_average_is_macro_and_lies_over_the_area_that_it_names(seed: int) -> None:
    labels, probabilities = drawn(4, seed)
    one_hot = np.eye(4)[labels]
    roc, *_ = roc_curves(labels, probabilities, list("abcd"))
    assert (roc.name, roc.is_average) == ("macro average", True)
    assert roc.area == pytest.approx(sk.roc_auc_score(one_hot, probabilities, average="macro"))
    # At a rate where a class's curve rises, the average has the upper end.
    assert np.trapezoid(roc.ys, roc.xs) == pytest.approx(roc.area, abs=0.02)
    average, *_ = precision_recall_curves(labels, probabilities, list("abcd"))
    assert (average.name, average.is_average) == ("macro average", True)
    expected = sk.average_precision_score(one_hot, probabilities, average="macro")
    assert average.area == pytest.approx(expected)
    assert steps(average.xs, average.ys) == pytest.approx(expected)


def test_a_table_has_the_curves_one_below_the_other() -> None:
    table = curves_table(roc_curves(*drawn(3), ["a", "</script>", "c"]), ROC)
    assert list(table) == ["class", "false_positive_rate", "true_positive_rate"]
    assert [*table["class"].unique()] == ["macro average", "a", r"\x3c/script>", "c"]
    table = curves_table(precision_recall_curves(*HAND, TWO), PRECISION_RECALL)
    assert list(table) == ["class", "recall", "precision"]
    assert len(table) == 9


def test_a_table_of_many_classes_holds_their_average_alone() -> None:
    for n_classes, named in ((20, 21), (21, 1)):
        curves = roc_curves(*drawn(n_classes), [f"class {k}" for k in range(n_classes)])
        assert curves_table(curves, ROC)["class"].nunique() == named


def test_the_pictures_hold_both_models_chance_and_the_threshold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    draw = module.threshold_figure

    def watched(kind, models, **options):
        seen.append((kind, models, options))
        return draw(kind, models, **options)

    monkeypatch.setattr(module, "threshold_figure", watched)
    other = LABELS, HAND[1][::-1]
    save_threshold_curves(
        tmp_path, {"classifier": HAND, "baseline": other}, TWO, threshold=0.65, with_table=True
    )
    (roc, models, of_roc), (precision_recall, _, of_precision) = seen
    assert (roc, precision_recall) == (ROC, PRECISION_RECALL)
    assert list(models) == ["classifier", "baseline"]
    assert models["classifier"][0].area == 13 / 16
    assert models["baseline"][0].area == sk.roc_auc_score(*(LABELS, other[1][:, 1]))
    assert of_roc["chance"] == 0.5
    mark = of_roc["mark"]  # above 0.65 are two spam of four, and one ham of four
    assert (mark.name, mark.x, mark.y) == ("chosen threshold, 0.650", 1 / 4, 2 / 4)
    assert (of_precision["mark"].x, of_precision["mark"].y) == (2 / 4, 2 / 3)
    with (tmp_path / "roc.csv").open(encoding="utf-8", newline="") as file:
        assert {row["class"] for row in csv.DictReader(file)} == {"spam"}
    written = {path.name for path in tmp_path.iterdir()}
    assert written == {"roc.csv", "roc.png", "precision_recall.csv", "precision_recall.png"}


def test_a_threshold_may_be_called_as_the_decision_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks = []
    draw = module.threshold_figure

    def watched(*models, **options):
        marks.append(options["mark"])
        return draw(*models, **options)

    monkeypatch.setattr(module, "threshold_figure", watched)
    save_threshold_curves(
        tmp_path, {"classifier": HAND}, TWO, threshold=0.65, threshold_name="0.12"
    )
    assert {mark.name for mark in marks} == {"chosen threshold, 0.12"}
    assert (marks[0].x, marks[0].y) == (1 / 4, 2 / 4)


def test_a_threshold_that_no_message_is_above_has_no_precision(tmp_path: Path) -> None:
    save_threshold_curves(tmp_path, {"classifier": HAND}, TWO, threshold=0.95)
    assert {path.suffix for path in tmp_path.iterdir()} == {".png"}
