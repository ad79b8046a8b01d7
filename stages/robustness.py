"""The test messages written another way: what is left of the figures."""

from pathlib import Path

from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_csv, write_json
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.evaluation.baseline import fit_baseline
from spam_gpt2.evaluation.perturbations import perturb
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.evaluation.robustness import robustness_table
from spam_gpt2.figures.charts import save_bars
from spam_gpt2.figures.style import BASELINE, CLASSIFIER

import numpy as np
import pandas as pd

PLOTS_DIR = Path("plots/robustness")


def main() -> None:
    params = load_params()
    predictor = Predictor.load(settings=params.compute)
    card, labels = predictor.card, predictor.card.labels
    train, test = (read_split(Path(f"data/prepared/{split}.csv")) for split in ("train", "test"))
    actual = label_ids(train, labels)
    baseline = fit_baseline(train["text"], actual, params.baseline, card.fold)

    def gpt2(texts: list[str]) -> np.ndarray:
        return np.array([labels.index(p.label) for p in predictor.predict(texts)])

    texts, actual = test["text"].tolist(), label_ids(test, labels)
    written = perturb(texts, **params.robustness.model_dump())
    tables = {
        model: robustness_table(
            actual, {name: predict(texts) for name, texts in written.items()}, len(labels)
        )
        for model, predict in (("gpt2", gpt2), ("baseline", baseline.predict))
    }
    write_plots(tables, card.weights)
    metrics = {
        "weights": card.weights,
        "weights_sha256": card.weights_sha256,
        "messages": len(texts),
        "messages_changed": {
            name: sum(old != new for old, new in zip(texts, others, strict=True))
            for name, others in written.items()
        },
        **{model: table.to_dict("index") for model, table in tables.items()},
    }
    write_json(Path("metrics/robustness.json"), metrics)


def write_plots(tables: dict[str, pd.DataFrame], weights: str) -> None:
    """The figures of each classifier as a table, and of both side by side as a picture."""
    for model, table in tables.items():
        write_csv(PLOTS_DIR / f"{model}.csv", table.reset_index(names="writing"))
    gpt2, baseline = tables.values()
    panels = {
        figure.replace("false_positive", "false-positive").replace("_", " "): pd.DataFrame(
            {CLASSIFIER: gpt2[figure], BASELINE: baseline[figure]}
        ).rename(lambda writing: writing.replace("_", " "))
        for figure in gpt2
        if not figure.endswith("_change")
    }
    title = "The classifier and the baseline on messages written another way (test)"
    save_bars(PLOTS_DIR / "robustness.png", panels, title=title, note=weights)


if __name__ == "__main__":
    run_stage(main, __file__)
