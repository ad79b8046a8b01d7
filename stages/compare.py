"""GPT-2 against the baseline, message by message: is one better, or was it chance?"""

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import InputError, read_json, write_csv, write_json
from spam_gpt2.evaluation.comparison import Comparison
from spam_gpt2.evaluation.predictions import label_ids, read_predictions
from spam_gpt2.figures.confusion import save_confusion_matrix

import numpy as np
import pandas as pd

PREDICTIONS_DIR = Path("data/predictions")
PLOTS_DIR = Path("plots/compare")
ANSWERS = ["right", "wrong"]


def main() -> None:
    model = read_json(Path("metrics/gpt2.json"))
    weights, metrics = (
        model["weights"],
        {name: model[name] for name in ("weights", "weights_sha256")},
    )
    right = {split: right_answers(split, model["labels"]) for split in ("validation", "test")}
    for split, answers in right.items():
        metrics[split] = Comparison.of(*answers).figures(split, weights, "the baseline")
        say(metrics[split]["summary"])
    write_plots(*right["test"], weights)
    write_json(Path("metrics/comparison.json"), metrics)


def right_answers(split: str, labels: list[str]) -> list[np.ndarray]:
    """Whether GPT-2 and the baseline are right about each message of a split, (N,) of bool each."""
    paths = [PREDICTIONS_DIR / model / f"{split}.csv" for model in ("gpt2", "baseline")]
    predicted = [read_predictions(path, labels) for path in paths]
    if not predicted[0][0].equals(predicted[1][0]):
        raise InputError(f"{paths[0]} and {paths[1]} hold different messages; run `dvc repro`")
    return [p.argmax(1) == label_ids(messages, labels) for messages, p in predicted]


def write_plots(gpt2: np.ndarray, baseline: np.ndarray, weights: str) -> None:
    """Who is right about the test messages, as a table of pairs and as a picture."""
    columns = {"gpt2": gpt2, "baseline": baseline}
    pairs = pd.DataFrame({name: np.where(right, *ANSWERS) for name, right in columns.items()})
    write_csv(PLOTS_DIR / "test.csv", pairs)
    save_confusion_matrix(
        PLOTS_DIR / "test.png",
        Comparison.of(gpt2, baseline).table,
        ANSWERS,
        "Answers on test",
        normalized=False,
        rows=weights,
        columns="baseline",
    )


if __name__ == "__main__":
    run_stage(main, __file__)
