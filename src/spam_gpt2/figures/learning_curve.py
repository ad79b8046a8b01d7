"""Picture of the accuracy by the number of training messages, with its spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spam_gpt2.figures.charts import curves_figure
from spam_gpt2.figures.style import MODELS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


def learning_curve_figure(runs: pd.DataFrame, weights: str) -> Figure:
    """Picture of the mean accuracies; bands reach from the worst repeat to the best.

    Args:
        runs: a row a training: messages, repeat, and the accuracies gpt2 and baseline.
        weights: stand below the title.
    """
    by_size, repeats = runs.groupby("messages"), runs["repeat"].nunique()
    mean, low, high = by_size.mean(), by_size.min(), by_size.max()

    spread = f", mean of {repeats} repeats; bands from the worst to the best"
    return curves_figure(
        {name: (mean.index.to_numpy(), mean[m].to_numpy()) for m, name in MODELS.items()},
        bands={n: (low[m].to_numpy(), high[m].to_numpy()) for m, n in MODELS.items()},
        title="Learning curve (test)",
        x="training messages",
        y="accuracy",
        note=weights + (spread if repeats > 1 else ""),
        log_x=True,
    )
