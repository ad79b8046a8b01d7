"""Pictures of confusion matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from spam_gpt2.common.text import one_line
from spam_gpt2.figures.style import save

SHOWN = 50  # classes; more than that nobody can read, and each takes as long again
LARGE = 12  # from here on cells are small, and empty ones without a number
NAME = 30  # characters of a label


def save_confusion_matrix(
    path: Path,
    counts: np.ndarray,
    labels: list[str],
    title: str,
    *,
    normalized: bool,
    rows: str = "true",
    columns: str = "predicted",
) -> None:
    """Picture of a confusion matrix (K, K), in counts or as shares of each row.

    Of more than 50 classes it shows the 50 that are most confused, and says so.
    """
    from sklearn.metrics import ConfusionMatrixDisplay  # takes a second that curves do not need

    totals = counts.sum(1, keepdims=True)
    values = np.divide(counts, totals, where=totals > 0, out=np.zeros(counts.shape))
    values = values if normalized else counts
    if len(labels) > SHOWN:
        chosen = most_confused(counts, SHOWN)
        values, title = values[np.ix_(chosen, chosen)], f"{title}, {_of(len(labels))}"
        labels = [labels[k] for k in chosen]
    names = [one_line(label) for label in labels]
    names = [name if len(name) <= NAME else f"{name[:NAME]}…" for name in names]
    if len(names) > LARGE:
        figure, axes = _many_cells(values, names, normalized)
    else:
        figure, axes = plt.subplots(figsize=(1.6 + 1.1 * len(names), 1.3 + 1.0 * len(names)))
        ConfusionMatrixDisplay(values, display_labels=names).plot(
            ax=axes, cmap="Blues", colorbar=False, values_format=".1%" if normalized else "d"
        )
    axes.set(title=title, xlabel=columns, ylabel=rows)
    save(figure, path)


def most_confused(counts: np.ndarray, n: int) -> np.ndarray:
    """The n classes of most mistakes, as true or as predicted class, in their order."""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:n])


def _of(n_classes: int) -> str:
    return f"the {SHOWN} most confused of {n_classes} classes"


def _many_cells(
    values: np.ndarray, names: list[str], normalized: bool
) -> tuple[plt.Figure, plt.Axes]:
    """As scikit-learn draws it, but small, and with numbers only where there is one."""
    side = 2.5 + 0.32 * len(names)
    figure, axes = plt.subplots(figsize=(side, side))
    axes.imshow(values, cmap="Blues")
    places = np.arange(len(names))
    axes.set_xticks(places, names, rotation=90, fontsize=7)
    axes.set_yticks(places, names, fontsize=7)
    middle = (values.max() + values.min()) / 2
    for i, k in np.argwhere(values > 0):
        text = f"{100 * values[i, k]:.0f}" if normalized else f"{values[i, k]}"
        colour = "white" if values[i, k] > middle else "#08306b"
        axes.text(k, i, text, ha="center", va="center", fontsize=6, color=colour)
    if normalized:
        axes.text(0, -1.2, "per cent", fontsize=7, ha="left")
    return figure, axes
