"""Cross-validation of GPT-2 and of the baseline on the same folds, at the natural rate."""

from pathlib import Path
from statistics import mean

from spam_gpt2.classifier.trainable import untrained_classifier
from spam_gpt2.common.console import progress, run_stage, say
from spam_gpt2.common.files import read_csv, write_csv, write_json
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.params import load_params
from spam_gpt2.data.folds import balanced, digest_of, make_folds, with_groups
from spam_gpt2.data.messages import read_split
from spam_gpt2.evaluation.cross_validation import (
    HEADLINE,
    cross_validation_metrics,
    fold_spread,
)
from spam_gpt2.evaluation.fold_training import baseline_counts, gpt2_counts, in_order_of_lines
from spam_gpt2.features.features import load_features
from spam_gpt2.figures.folds import folds_figure
from spam_gpt2.figures.style import save
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import read_config

import pandas as pd

PLOTS_DIR = Path("plots/cross_validate")
WEIGHTS_DIR = Path("models/gpt2")
SPLITS = ("train", "validation", "test", "holdout")


def main() -> None:
    params, labels = load_params(), read_labels()
    settings = params.cross_validate
    compute = Compute.start(params.compute, read_config(WEIGHTS_DIR)[0])
    frames = [read_split(Path(f"data/prepared/{split}.csv")) for split in SPLITS]
    parts = [load_features(Path(f"data/features/{split}.safetensors")) for split in SPLITS]
    messages, features = in_order_of_lines(frames, parts, labels)
    campaigns = read_csv(Path("data/campaigns.csv"), ("campaign", "line"))
    messages = with_groups(messages, settings.group, campaigns)
    folds, counts = make_folds(messages, settings), {"gpt2": [], "baseline": []}
    for i, fold in enumerate(progress(folds, unit="fold", desc="cross-validate")):
        train = fold.train
        if params.prepare.balance:
            train = balanced(messages, train, settings.group != "none", settings.seed + i)
        seeded = params.finetune.model_copy(update={"seed": params.finetune.seed + i})
        classifier, origin = untrained_classifier(
            WEIGHTS_DIR, len(labels), params.classifier, seeded
        )
        compute.place(classifier)
        gpt2 = gpt2_counts(classifier, features, train, fold.test, seeded)
        undone = params.classifier.fold or []
        baseline = baseline_counts(messages, train, fold.test, labels, params.baseline, undone)
        counts["gpt2"].append(gpt2)
        counts["baseline"].append(baseline)
    # As they are before balancing, which makes training sets overlap less, never more.
    test_share = mean(len(fold.test) / len(fold.train) for fold in folds)
    metrics = {
        "weights": origin.name,
        "weights_sha256": origin.sha256,
        "labels": labels,
        **settings.model_dump(include={"folds", "repeats", "group"}),
        "folds_sha256": digest_of(messages, folds),
        "tested": len(messages),
        "test_share": round(test_share, 6),
        **cross_validation_metrics(counts, test_share, params.evaluate.confidence, origin.name),
    }
    write_json(Path("metrics/cross_validation.json"), metrics)
    note = f"{origin.name}, {len(messages):,} messages, {settings.folds} folds"
    save(folds_figure(*fold_spread(metrics), note=note), PLOTS_DIR / "folds.png")
    shares = {m: [fold[HEADLINE] for fold in metrics[m]["folds"]] for m in counts}
    table = pd.DataFrame({"fold": range(1, len(folds) + 1), **shares})
    write_csv(PLOTS_DIR / "folds.csv", table)
    say(metrics["summary"])


if __name__ == "__main__":
    run_stage(main, __file__)
