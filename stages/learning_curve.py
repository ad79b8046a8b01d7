"""Test accuracy against the number of labelled messages, of GPT-2 and of the baseline."""

from pathlib import Path

from spam_gpt2.classifier.trainable import untrained_classifier
from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import write_csv, write_json
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.learning_curve import (
    baseline_accuracy,
    gpt2_accuracy,
    stratified_order,
    usable_sizes,
)
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.features.features import load_features
from spam_gpt2.figures.learning_curve import learning_curve_figure
from spam_gpt2.figures.style import save
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import Origin, read_config

import numpy as np
import pandas as pd

WEIGHTS_DIR = Path("models/gpt2")
PLOTS_DIR = Path("plots/learning_curve")


def main() -> None:
    params, labels = load_params(), read_labels()
    train, test = (read_split(Path(f"data/prepared/{split}.csv")) for split in ("train", "test"))
    features = {s: load_features(Path(f"data/features/{s}.safetensors")) for s in SPLITS}
    compute = Compute.start(params.compute, read_config(WEIGHTS_DIR)[0])
    actual, runs = label_ids(train, labels), []
    for repeat in range(params.learning_curve.repeats):
        random = np.random.default_rng([params.learning_curve.seed, repeat])
        order = stratified_order(actual, random)
        settings = params.finetune.model_copy(update={"seed": params.finetune.seed + repeat})
        for size in usable_sizes(params.learning_curve.sizes, actual):
            indices = np.sort(order[:size])
            classifier, origin = untrained_classifier(
                WEIGHTS_DIR, len(labels), params.classifier, settings
            )
            compute.place(classifier)
            gpt2 = gpt2_accuracy(classifier, features, indices, settings)
            baseline = baseline_accuracy(
                train.iloc[indices], test, labels, params.baseline, params.classifier.fold or []
            )
            shares = f"{origin.name} {gpt2:.1%}, baseline {baseline:.1%}"
            say(f"{size} messages, repeat {repeat + 1}: {shares}")
            runs.append((size, repeat + 1, gpt2, baseline))
    columns = ["messages", "repeat", "gpt2", "baseline"]
    write_results(pd.DataFrame(runs, columns=columns).round(6), origin)


def write_results(runs: pd.DataFrame, origin: Origin) -> None:
    """Every run and the mean by number of messages, as tables, picture and metrics."""
    by_size = runs.groupby("messages")
    means = by_size[["gpt2", "baseline"]].mean().round(6)
    write_csv(PLOTS_DIR / "runs.csv", runs)
    write_csv(PLOTS_DIR / "accuracy.csv", means.reset_index())
    save(learning_curve_figure(runs, origin.name), PLOTS_DIR / "accuracy.png")
    metrics = {"weights": origin.name, "weights_sha256": origin.sha256}
    for model in ("gpt2", "baseline"):
        spread = by_size[model].agg(["mean", "min", "max"]).round(6)
        metrics[model] = {str(size): row for size, row in spread.to_dict("index").items()}
    write_json(Path("metrics/learning_curve.json"), metrics)


if __name__ == "__main__":
    run_stage(main, __file__)
