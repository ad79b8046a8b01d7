"""How far the probabilities can be trusted, and the threshold that keeps false positives rare."""

from pathlib import Path
from typing import Any

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import read_json, write_csv, write_json
from spam_gpt2.common.params import Params, load_params
from spam_gpt2.evaluation import calibration
from spam_gpt2.evaluation.decisions import choose_threshold, decision_figures
from spam_gpt2.evaluation.predictions import label_ids, read_predictions
from spam_gpt2.figures.charts import save_curves

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
    if len(labels) == 2:
        metrics |= operating_point(splits, labels, params)
        of = f"probability of {labels[1]}"
    else:
        of = "probability of the predicted class; no threshold, since there are more than 2 classes"
    metrics["calibration"] = {"of": of} | temperature_scaling(splits, params.calibrate.bins)
    write_json(Path("metrics/calibration.json"), metrics)


def operating_point(splits: Splits, labels: list[str], params: Params) -> dict[str, Any]:
    """The threshold that validation gives, and every split's figures with it and without."""
    actual, probabilities = splits["validation"]
    target = params.calibrate.false_positive_rate
    threshold = choose_threshold(actual == 1, probabilities[:, 1], target)
    say(
        f"a false-positive rate of at most {target:.2%} lets {threshold.allowed} of the "
        f"{threshold.negatives} {labels[0]} messages of validation be above the threshold, "
        f"{threshold.value}"
    )
    found: dict[str, Any] = {"threshold": vars(threshold)}
    for name, value in (("at_threshold", threshold.value), ("argmax", 0.5)):
        found[name] = {
            split: decision_figures(actual == 1, p[:, 1] > value, params.evaluate.confidence)
            for split, (actual, p) in splits.items()
            if len(actual)  # nothing may be left over for the hold-out
        }
    return found


def temperature_scaling(splits: Splits, bins: int) -> dict[str, Any]:
    """Figures as the probabilities are and with validation's temperature; the test's curves."""
    temperature = calibration.fit_temperature(*splits["validation"])
    found: dict[str, Any] = {"temperature": round(temperature, 6)}
    curves = {"perfect": (np.array([0, 1]), np.array([0, 1]))}
    for name, t in (("unscaled", 1.0), ("scaled", temperature)):
        found[name] = {}
        for split in ("validation", "test"):
            actual, scaled = splits[split][0], calibration.with_temperature(splits[split][1], t)
            found[name][split] = calibration.calibration_figures(actual, scaled, bins)
        table = calibration.reliability(actual, scaled, bins)
        write_csv(PLOTS_DIR / f"{name}.csv", table.round(6))
        curves[f"{name}, T = {t:.2f}"] = table["probability"].to_numpy(), table["share"].to_numpy()
    axes = {"x": "mean probability", "y": "share", "limits": (-0.02, 1.02)}
    save_curves(PLOTS_DIR / "reliability.png", curves, title="Reliability, test", **axes)
    return found


if __name__ == "__main__":
    run_stage(main, __file__)
