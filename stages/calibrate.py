"""How far the probabilities can be trusted, and the decision that follows from them."""

from pathlib import Path

from spam_gpt2.classifier.decision import DECISION_DIR, ChosenOn, SavedDecision, save_decision
from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import read_json, sha256_of, write_csv, write_json
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.params import load_params
from spam_gpt2.evaluation.calibration import at_temperature
from spam_gpt2.evaluation.choice import Validation, check_classes, class_shares
from spam_gpt2.evaluation.expected import expected_mistakes
from spam_gpt2.evaluation.predictions import label_ids, read_predictions
from spam_gpt2.evaluation.rates import at_rates, decision_costs, rates_panels
from spam_gpt2.evaluation.threshold import decided, operating_points
from spam_gpt2.figures.charts import save_bars
from spam_gpt2.figures.reliability import reliability_figure
from spam_gpt2.figures.style import save

import numpy as np

PLOTS_DIR = Path("plots/calibrate")
CARD_PATH = Path("models/classifier/classifier.json")
PREDICTIONS = {
    "validation": Path("data/predictions/gpt2/validation.csv"),
    "test": Path("data/predictions/gpt2/test.csv"),
    "holdout": Path("data/predictions/holdout.csv"),
}


def main() -> None:
    params, model = load_params(), read_json(Path("metrics/gpt2.json"))
    given, confidence, labels = params.calibrate, params.evaluate.confidence, model["labels"]
    check_classes(given, labels)
    splits = {}  # classes (N,) and probabilities (N, K)
    for split, path in PREDICTIONS.items():
        messages, probabilities = read_predictions(path, labels)
        splits[split] = label_ids(messages, labels), probabilities
    data, keys = read_json(Path("metrics/data.json")), class_keys(labels, ["total"])
    counts = ([of[k] for k in keys] for of in (data["splits"]["train"], data["messages"]))
    in_training, shares = class_shares(*counts, given.prevalence)
    validation = Validation(labels, *splits["validation"], in_training, given)
    decision, rule = validation.choose(shares), validation.rule
    on = ChosenOn("validation", validation.counts, sha256_of(PREDICTIONS["validation"]), rule)
    card_sha256 = sha256_of(CARD_PATH)
    saved = SavedDecision(**vars(decision), card_sha256=card_sha256, chosen_on=on)
    save_decision(DECISION_DIR, saved)
    say(f"{rule}: {DECISION_DIR} is saved")

    metrics = {name: model[name] for name in ("weights", "weights_sha256", "labels")}
    unseen = splits["test"], splits["holdout"]
    actual, p = (np.concatenate(pair) for pair in zip(*unseen, strict=True))
    taken = decided(decision, p)
    if len(labels) == 2:
        metrics["threshold"] = validation.about(decision, confidence)
        metrics |= operating_points(splits, decision, confidence)
        metrics["at_rates"] = at_rates(actual, p, decision, validation, confidence)
        metrics["expected_cost"] = decision_costs(actual, p, decision, given, confidence)
        panels = rates_panels(metrics["at_rates"], labels[1], given)
        title, note = f"At other shares of {labels[1]}", f"{model['weights']}, {len(p):,} messages"
        save_bars(PLOTS_DIR / "prevalence.png", panels, title=title, note=note)
    expected = expected_mistakes(actual, taken, shares, confidence)
    metrics["decision"] = dict(zip(labels, expected, strict=True))
    figures, tables = at_temperature(splits, decision.temperature, given.bins, confidence)
    kind = labels[1] if len(labels) == 2 else "the predicted class"
    metrics["calibration"] = {"of": f"probability of {kind}"} | figures
    write_json(Path("metrics/calibration.json"), metrics)
    for name, table in tables.items():
        write_csv(PLOTS_DIR / f"{name}.csv", table.round(6))
    named = {"unscaled": tables["unscaled"]}
    named[f"scaled, temperature {decision.temperature:.2f}"] = tables["scaled"]
    of = kind if len(labels) == 2 else f"of {kind}"
    note = f"{model['weights']}, {len(splits['test'][0]):,} messages"
    save(reliability_figure(named, of=of, note=note), PLOTS_DIR / "reliability.png")


if __name__ == "__main__":
    run_stage(main, __file__)
