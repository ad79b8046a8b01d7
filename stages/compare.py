"""GPT-2 against the baseline, message by message: is one better, or was it chance?"""

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import InputError, read_json, write_csv, write_json
from spam_gpt2.common.params import load_params
from spam_gpt2.evaluation.comparison import Comparison
from spam_gpt2.evaluation.curves import Answers, save_threshold_curves
from spam_gpt2.evaluation.predictions import label_ids, read_predictions
from spam_gpt2.figures.confusion import save_confusion_matrix
from spam_gpt2.figures.style import BASELINE, CLASSIFIER

import numpy as np
import pandas as pd

PREDICTIONS_DIR = Path("data/predictions")
PLOTS_DIR = Path("plots/compare")
ANSWERS = ["right", "wrong"]


def main() -> None:
    model, confidence = read_json(Path("metrics/gpt2.json")), load_params().evaluate.confidence
    calibration = read_json(Path("metrics/calibration.json"))  # of two classes, with a threshold
    weights, labels = model["weights"], model["labels"]
    metrics = {name: model[name] for name in ("weights", "weights_sha256")}
    for split in ("validation", "test"):
        answers = both_answers(split, labels)
        right = [probabilities.argmax(1) == actual for actual, probabilities in answers.values()]
        metrics[split] = Comparison.of(*right).figures(split, weights, "the baseline", confidence)
        say(metrics[split]["summary"])
    write_pairs(*right, weights)
    chosen = calibration.get("threshold", {})
    mark = {"threshold": chosen.get("as_trained"), "threshold_name": str(chosen.get("value", ""))}
    note = f"{weights}, {len(right[0]):,} messages"
    save_threshold_curves(PLOTS_DIR, answers, labels, **mark, note=note)
    write_json(Path("metrics/comparison.json"), metrics)


def both_answers(split: str, labels: list[str]) -> dict[str, Answers]:
    """What is true of a split's messages and what the classifier and the baseline say."""
    paths = [PREDICTIONS_DIR / model / f"{split}.csv" for model in ("gpt2", "baseline")]
    predicted = [read_predictions(path, labels) for path in paths]
    if not predicted[0][0].equals(predicted[1][0]):
        raise InputError(f"{paths[0]} and {paths[1]} hold different messages; run `dvc repro`")
    actual = label_ids(predicted[0][0], labels)
    return {CLASSIFIER: (actual, predicted[0][1]), BASELINE: (actual, predicted[1][1])}


def write_pairs(gpt2: np.ndarray, baseline: np.ndarray, weights: str) -> None:
    """Who is right about the test messages, as a table of pairs and as a picture."""
    columns = {CLASSIFIER: gpt2, BASELINE: baseline}
    pairs = pd.DataFrame({name: np.where(right, *ANSWERS) for name, right in columns.items()})
    write_csv(PLOTS_DIR / "test.csv", pairs)
    save_confusion_matrix(
        PLOTS_DIR / "test.png",
        Comparison.of(gpt2, baseline).table,
        ANSWERS,
        "Right answers of the classifier and the baseline (test, counts)",
        normalized=False,
        rows=CLASSIFIER,
        columns=BASELINE,
        note=weights,
    )


if __name__ == "__main__":
    run_stage(main, __file__)
