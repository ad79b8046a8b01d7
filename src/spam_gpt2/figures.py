"""Pictures of results, the same bytes for the same figures."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from sklearn.metrics import ConfusionMatrixDisplay

from spam_gpt2.files import whole_file

Curve = tuple[np.ndarray, np.ndarray]  # x and y


def save_confusion_matrix(
    path: Path, counts: np.ndarray, labels: list[str], title: str, *, normalized: bool
) -> None:
    """Picture of a confusion matrix (K, K), in counts or as shares of each true class."""
    rows = counts.sum(1, keepdims=True)
    values = np.divide(counts, rows, where=rows > 0, out=np.zeros(counts.shape))
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * len(labels), 1.3 + 1.0 * len(labels)))
    ConfusionMatrixDisplay(values if normalized else counts, display_labels=labels).plot(
        ax=axes, cmap="Blues", colorbar=False, values_format=".1%" if normalized else "d"
    )
    axes.set(title=title, xlabel="predicted", ylabel="true")
    _save(figure, path)


def save_curves(
    path: Path,
    curves: dict[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    limits: tuple[float, float] | None = None,
) -> None:
    """Picture of named curves in one pair of axes.

    Args:
        x, y: what the axes show.
        limits: of the y axis; null lets the curves decide.
    """
    figure, axes = plt.subplots(figsize=(5.2, 3.6))
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=name, marker="o" if len(xs) < 20 else None, markersize=3.5)
    axes.set(title=title, xlabel=x, ylabel=y)
    if limits:
        axes.set_ylim(limits)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    _save(figure, path)


def _save(figure: plt.Figure, path: Path) -> None:
    figure.tight_layout()
    with whole_file(path) as beside_path:
        figure.savefig(beside_path, format="png", dpi=110, metadata={"Software": None})
    plt.close(figure)
