"""The curves over all thresholds, one a class: ROC, and precision and recall."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from spam_gpt2.common.files import write_csv
from spam_gpt2.common.text import plot_text
from spam_gpt2.figures.curves import PRECISION_RECALL, ROC, Curve, Kind, Mark, threshold_figure
from spam_gpt2.figures.style import save

AVERAGE = "macro average"
IN_TABLE = 20  # classes
Answers = tuple[np.ndarray, np.ndarray]  # classes (N,) and probabilities (N, K)


def roc_curves(labels: np.ndarray, probabilities: np.ndarray, names: list[str]) -> list[Curve]:
    """False-positive (x) and true-positive rates (y), with the area under the curve.

    Of two classes the last one's, else one a class against the rest, and their macro average: the
    mean true-positive rate at each false-positive rate, whose area is the mean of the areas.

    Args:
        labels: class of each message, (N,) of int; every class is there.
        probabilities: (N, K).
        names: of the classes, (K,).
    """

    def curve(is_class: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        fpr, tpr, _ = sk.roc_curve(is_class, scores)
        return fpr, tpr, float(sk.auc(fpr, tpr))

    curves = _each_class(curve, labels, probabilities, names)
    if len(curves) == 1:
        return curves
    xs = np.unique(np.concatenate([c.xs for c in curves]))
    heights = [np.interp(xs, c.xs, c.ys) for c in curves]
    return [_average(curves, xs, heights, start=0.0), *curves]


def precision_recall_curves(
    labels: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> list[Curve]:
    """Recall (x) and precision (y), with the average precision; else as `roc_curves`.

    Average precision is the area under steps: ys[i] holds from xs[i - 1] to xs[i].
    """

    def curve(is_class: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        precision, recall, _ = sk.precision_recall_curve(is_class, scores)
        return recall[::-1], precision[::-1], float(sk.average_precision_score(is_class, scores))

    curves = _each_class(curve, labels, probabilities, names)
    if len(curves) == 1:
        return curves
    xs = np.unique(np.concatenate([c.xs[c.xs > 0] for c in curves]))
    heights = [c.ys[np.searchsorted(c.xs, xs)] for c in curves]
    return [_average(curves, xs, heights), *curves]


def _each_class(
    curve: Callable, labels: np.ndarray, probabilities: np.ndarray, names: list[str]
) -> list[Curve]:
    classes = [1] if len(names) == 2 else range(len(names))
    return [Curve(names[k], *curve(labels == k, probabilities[:, k])) for k in classes]


def _average(
    curves: list[Curve], xs: np.ndarray, heights: list[np.ndarray], start: float | None = None
) -> Curve:
    """The mean of curves at the same xs, with a point before it at x = 0; as high as the first."""
    area = float(np.mean([curve.area for curve in curves]))
    ys = np.mean(heights, axis=0)
    ys = np.append(ys[0] if start is None else start, ys)
    return Curve(AVERAGE, np.append(0.0, xs), ys, area, is_average=True)


def curves_table(curves: list[Curve], kind: Kind) -> pd.DataFrame:
    """Curves as a table for `dvc plots`: class, x and y, in the order of the curves.

    Of more than 20 classes it holds the average alone: the page with all would be large, and tell
    no more.
    """
    if len(curves) > IN_TABLE + 1:
        curves = [curve for curve in curves if curve.is_average]
    tables = [
        pd.DataFrame(
            {
                "class": plot_text(curve.name),
                kind.x.replace("-", "_").replace(" ", "_"): curve.xs.round(6),
                kind.y.replace("-", "_").replace(" ", "_"): curve.ys.round(6),
            }
        )
        for curve in curves
    ]
    return pd.concat(tables, ignore_index=True)


def save_threshold_curves(
    plots_dir: Path,
    models: dict[str, Answers],
    names: list[str],
    *,
    threshold: float | None = None,
    threshold_name: str = "",
    note: str = "",
    with_table: bool = False,
) -> None:
    """Write `roc.png` and `precision_recall.png` of the test set.

    Args:
        models: by the name that the pictures show, what is true and what was said.
        names: of the classes, (K,).
        threshold: of two classes, the one chosen for the first model; it is marked.
        threshold_name: what the mark is called, as in "chosen threshold, 0.915"; empty: its value.
        note: stands below the titles.
        with_table: write the first model's curves as CSV, too.
    """
    labels, probabilities = next(iter(models.values()))
    chance = float((labels == 1).mean()) if len(names) == 2 else 1 / len(names)
    for kind, curves_of, name in (
        (ROC, roc_curves, "roc"),
        (PRECISION_RECALL, precision_recall_curves, "precision_recall"),
    ):
        curves = {model: curves_of(*answers, names) for model, answers in models.items()}
        mark = None
        if threshold is not None:
            name_of_mark = f"chosen threshold, {threshold_name or f'{threshold:.3f}'}"
            mark = _mark(kind, labels == 1, probabilities[:, 1] > threshold, name_of_mark)
        if with_table:
            write_csv(plots_dir / f"{name}.csv", curves_table(next(iter(curves.values())), kind))
        figure = threshold_figure(kind, curves, chance=chance, mark=mark, note=note)
        save(figure, plots_dir / f"{name}.png")


def _mark(kind: Kind, is_class: np.ndarray, taken: np.ndarray, name: str) -> Mark | None:
    """Where a threshold stands; nowhere among precisions when no message is above it."""
    hits = int((is_class & taken).sum())
    recall = hits / is_class.sum()
    if kind is ROC:
        return Mark(name, float((~is_class & taken).sum() / (~is_class).sum()), float(recall))
    return Mark(name, float(recall), hits / int(taken.sum())) if taken.any() else None
