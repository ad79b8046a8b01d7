"""Messages with what a classifier says of each, in memory and as CSV."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from spam_gpt2.common.files import InputError, read_csv

Predicted = tuple[pd.DataFrame, np.ndarray]  # messages (line, label, text), probabilities (N, K)


def label_ids(messages: pd.DataFrame, labels: list[str]) -> np.ndarray:
    """Class of each message by its place in `labels`, (N,) of int64; InputError for another one."""
    for label in sorted(set(messages["label"]) - set(labels)):
        raise InputError(
            f"label {label!r} is none of {', '.join(labels)}; run `dvc repro` as a whole"
        )
    return messages["label"].map({label: k for k, label in enumerate(labels)}).to_numpy(np.int64)


def predictions_table(
    messages: pd.DataFrame, probabilities: np.ndarray, labels: list[str]
) -> pd.DataFrame:
    """Messages with the predicted label and the probability of each, to 9 significant digits.

    Rounded to decimals, the small ones would be 0, and their log-odds lost.
    """
    table = messages[["line", "label", "text"]].reset_index(drop=True)
    table.insert(2, "predicted", np.array(labels)[probabilities.argmax(1)])
    rounded = [[float(f"{p:.9g}") for p in row] for row in probabilities.tolist()]
    names = [f"probability_{label}" for label in labels]
    shares = pd.DataFrame(np.array(rounded).reshape(-1, len(labels)), columns=names)
    return pd.concat([table.iloc[:, :3], shares, table.iloc[:, 3:]], axis=1)


def read_predictions(path: Path, labels: list[str]) -> Predicted:
    """Read back what `predictions_table` holds. Raises InputError for a file of other labels."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; `dvc repro` makes it")
    table = read_csv(path, ("label", "predicted", "text"))
    columns = [f"probability_{label}" for label in labels]
    if not {"line", "label", "text", *columns} <= set(table.columns):
        raise InputError(f"{path}: no predictions for {', '.join(labels)}; run `dvc repro`")
    return table[["line", "label", "text"]], table[columns].to_numpy(np.float64)
