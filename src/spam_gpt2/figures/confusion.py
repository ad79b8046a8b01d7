"""Pictures of confusion matrices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt

from spam_gpt2.figures.style import save


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
    """Picture of a confusion matrix (K, K), in counts or as shares of each row."""
    from sklearn.metrics import ConfusionMatrixDisplay  # takes a second that curves do not need

    totals = counts.sum(1, keepdims=True)
    values = np.divide(counts, totals, where=totals > 0, out=np.zeros(counts.shape))
    figure, axes = plt.subplots(figsize=(1.6 + 1.1 * len(labels), 1.3 + 1.0 * len(labels)))
    ConfusionMatrixDisplay(values if normalized else counts, display_labels=labels).plot(
        ax=axes, cmap="Blues", colorbar=False, values_format=".1%" if normalized else "d"
    )
    axes.set(title=title, xlabel=columns, ylabel=rows)
    save(figure, path)
