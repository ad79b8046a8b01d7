"""How many messages that balancing left over are taken for another class than theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from spam_gpt2.common.files import write_csv, write_json
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.params import Evaluate
from spam_gpt2.evaluation.intervals import share_interval
from spam_gpt2.evaluation.predictions import Predicted, label_ids, predictions_table


def write_holdout_evaluation(
    model: dict[str, Any], predicted: Predicted, labels: list[str], settings: Evaluate
) -> None:
    """Write how many hold-out messages of each class are taken for another, and predictions.

    Into `metrics/holdout.json` and `data/predictions/holdout.csv`. Of two classes the last is
    the positive one, so that the rate of the first is the false-positive rate.
    """
    messages, probabilities = predicted
    actual = label_ids(messages, labels)
    metrics = dict(model)
    for k, key in enumerate(class_keys(labels, model)):
        of_class = probabilities[actual == k]
        if len(of_class):
            metrics[key] = false_positive_rate(of_class, k, settings.confidence)
    table = predictions_table(messages, probabilities, labels)
    write_csv(Path("data/predictions/holdout.csv"), table)
    write_json(Path("metrics/holdout.json"), metrics)


def false_positive_rate(
    probabilities: np.ndarray, negative: int, confidence: float
) -> dict[str, Any]:
    """Share of messages of one class that are taken for another, with its interval."""
    wrong = int((probabilities.argmax(1) != negative).sum())
    return {
        "messages": len(probabilities),
        "false_positives": wrong,
        "false_positive_rate": round(wrong / len(probabilities), 6),
        "interval": share_interval(wrong, len(probabilities), confidence),
    }
