"""What is left of a classifier's figures when the same messages are written another way."""

from __future__ import annotations

import numpy as np
import pandas as pd

from spam_gpt2.evaluation.threshold import decision_counts


def robustness_table(
    actual: np.ndarray, predicted: dict[str, np.ndarray], n_classes: int
) -> pd.DataFrame:
    """Figures of each writing, and how far they are from those of the first.

    Args:
        actual: class of each message, (N,); with two classes, the second is the positive one.
        predicted: by writing, the class that each message is taken for, (N,).

    Returns: a row a writing; columns accuracy, with two classes also recall and
    false_positive_rate, and each of them with `_change` behind it.
    """
    rows = {name: _figures(actual, taken, n_classes) for name, taken in predicted.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    return table.join((table - table.iloc[0]).add_suffix("_change")).round(6)


def _figures(actual: np.ndarray, taken: np.ndarray, n_classes: int) -> dict[str, float]:
    if n_classes > 2:
        return {"accuracy": float((actual == taken).mean())}
    counts = decision_counts(actual == 1, taken == 1)
    names = ("accuracy", "recall", "false_positive_rate")
    return {name: counts[name][0] / counts[name][1] for name in names}
