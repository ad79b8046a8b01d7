"""How far the probabilities can be trusted, and the threshold that keeps false positives rare."""

from pathlib import Path
from typing import Any

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import read_json, write_csv, write_json
from spam_gpt2.common.nested import class_keys
from spam_gpt2.common.params import Params, load_params
from spam_gpt2.evaluation import calibration
from spam_gpt2.evaluation.expected import class_shares, expected_mistakes
from spam_gpt2.evaluation.predictions import label_ids, read_predictions
from spam_gpt2.evaluation.threshold import operating_points
from spam_gpt2.figures.reliability import reliability_figure
from spam_gpt2.figures.style import save

import numpy as np

PLOTS_DIR = Path("plots/calibrate")

Splits = dict[str, tuple[np.ndarray, np.ndarray]]  # classes (N,) and probabilities (N, K)


def main() -> None:
    params, model = load_params(), read_json(Path("metrics/gpt2.json"))
    labels, splits = model["labels"], {}
    for split in ("gpt2/validation", "gpt2/test", "holdout"):
        path = Path(f"data/predictions/{split}.csv")
        messages, probabilities = read_predictions(path, labels)
        splits[path.stem] = label_ids(messages, labels), probabilities
    metrics = {name: model[name] for name in ("weights", "weights_sha256", "labels")}
    given, confidence, of = params.calibrate, params.evaluate.confidence, "the predicted class"
    if len(labels) == 2:
        metrics |= operating_points(splits, given.false_positive_rate, confidence)
        tell(metrics["threshold"], given.false_positive_rate, labels[0])
        of = labels[1]
    unseen = splits["test"], splits["holdout"]
    actual, p = (np.concatenate(pair) for pair in zip(*unseen, strict=True))
    decided = p[:, 1] > metrics["threshold"]["value"] if len(labels) == 2 else p.argmax(1)
    counts = read_json(Path("metrics/data.json"))["messages"]
    shares = class_shares([counts[k] for k in class_keys(labels, ["total"])], given.positive_share)
    expected = expected_mistakes(actual, decided, shares, confidence)
    metrics["decision"] = dict(zip(labels, expected, strict=True))
    metrics["calibration"] = {"of": f"probability of {of}"}
    metrics["calibration"] |= temperature_scaling(splits, model, params)
    write_json(Path("metrics/calibration.json"), metrics)


def tell(threshold: dict[str, Any], target: float, negative: str) -> None:
    """How far validation lets the threshold be chosen."""
    say(
        f"a false-positive rate of at most {target:.2%} lets {threshold['allowed']} of the "
        f"{threshold['negatives']} {negative} messages of validation be above the threshold, "
        f"{threshold['value']}"
    )


def temperature_scaling(splits: Splits, model: dict[str, Any], params: Params) -> dict[str, Any]:
    """Figures as the probabilities are and with validation's temperature; the test's curves."""
    temperature = calibration.fit_temperature(*splits["validation"])
    found: dict[str, Any] = {"temperature": round(temperature, 6)}
    tables, bins, level = {}, params.calibrate.bins, params.evaluate.confidence
    for name, t in (("unscaled", 1.0), ("scaled", temperature)):
        found[name] = {}
        for split in ("validation", "test"):
            actual, scaled = splits[split][0], calibration.with_temperature(splits[split][1], t)
            found[name][split] = calibration.calibration_figures(actual, scaled, bins)
        table = calibration.with_intervals(calibration.reliability(actual, scaled, bins), level)
        write_csv(PLOTS_DIR / f"{name}.csv", table.round(6))
        tables[name if t == 1 else f"{name}, temperature {t:.2f}"] = table
    of = model["labels"][1] if len(model["labels"]) == 2 else "of the predicted class"
    note = f"{model['weights']}, {len(actual):,} messages"
    save(reliability_figure(tables, of=of, note=note), PLOTS_DIR / "reliability.png")
    return found


if __name__ == "__main__":
    run_stage(main, __file__)
