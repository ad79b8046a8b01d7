"""What folds say of a classifier, and whether one is better than another by the same folds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from sklearn import metrics as sk

from spam_gpt2.figures.folds import Spread
from spam_gpt2.figures.style import MODELS

HEADLINE = "balanced_accuracy"  # which decides between two classifiers
# As people call them, in the order in which they are shown.
NAMES = {
    "balanced_accuracy": "balanced accuracy",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "false_positive_rate": "false-positive rate",
    "mcc": "MCC",
}
FALLING = ("false_positive_rate",)  # lower is better
Figures = dict[str, float]
Metrics = dict[str, Any]


def fold_figures(counts: np.ndarray) -> Figures:
    """Figures of merit by scikit-learn, from the counts of a fold at its natural rate.

    With two classes the last is the positive one (spam): recall is the share of spam caught (SC),
    the false-positive rate the share of ham blocked (BH). With more, precision and recall are macro
    averages, and there is no false-positive rate. The balanced accuracy is the accuracy where each
    class is as frequent as the others. MCC is Matthews' correlation (Matthews 1975).

    Args:
        counts: (K, K), rows are the true classes, columns the predicted; no row is empty.
    """
    actual, predicted = _answers(counts)
    n_classes = len(counts)
    average = {"average": "binary" if n_classes == 2 else "macro", "zero_division": 0.0}
    figures = {
        "balanced_accuracy": sk.balanced_accuracy_score(actual, predicted),
        "accuracy": sk.accuracy_score(actual, predicted),
        "precision": sk.precision_score(actual, predicted, **average),
        "recall": sk.recall_score(actual, predicted, **average),
    }
    if n_classes == 2:
        caught = sk.recall_score(actual, predicted, pos_label=0, zero_division=0.0)
        figures["false_positive_rate"] = 1 - caught
    figures["mcc"] = sk.matthews_corrcoef(actual, predicted)
    return {name: float(value) for name, value in figures.items()}


def _answers(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted classes that have these counts."""
    actual, predicted = (places.ravel() for places in np.indices(np.shape(counts)))
    times = np.ravel(counts)
    return actual.repeat(times), predicted.repeat(times)


@dataclass(frozen=True)
class FoldMean:
    """The mean of one figure a fold, and how far it can be trusted.

    Folds share training messages, so that the plain t-test finds differences where there are none.
    The variance of the mean is enlarged from s^2 / J to (1 / J + n_test / n_train) s^2, where J
    figures have the variance s^2 (Nadeau & Bengio 2003, "Inference for the Generalization Error",
    Machine Learning 52, 239-281).
    """

    values: tuple[float, ...]  # one a fold and repeat, J
    test_share: float  # n_test / n_train: 1 / (k - 1) for k folds

    @property
    def mean(self) -> float:
        return float(np.mean(self.values))

    @property
    def deviation(self) -> float:
        """Standard deviation over the folds, that of a sample."""
        return float(np.std(self.values, ddof=1))

    @property
    def error(self) -> float:
        """The corrected standard error."""
        return self.deviation * sqrt(1 / len(self.values) + self.test_share)

    def interval(self, confidence: float) -> tuple[float, float]:
        """By Student's t with J - 1 degrees of freedom."""
        from scipy import stats  # half a second that a comparison in git does not need to wait for

        reach = float(stats.t.ppf((1 + confidence) / 2, len(self.values) - 1)) * self.error
        return self.mean - reach, self.mean + reach

    @property
    def p_value(self) -> float:
        """Two-sided, against a mean of 0; of differences it is the corrected resampled t-test."""
        from scipy import stats

        if self.error == 0:  # all the same
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, len(self.values) - 1))

    def summary(self, confidence: float, least: float = -2.0, most: float = 2.0) -> Metrics:
        """Mean, deviation and interval, to 6 decimals; the interval ends where the figure does."""
        bounds = [round(min(max(b, least), most), 6) for b in self.interval(confidence)]
        shown = {"mean": round(self.mean, 6), "deviation": round(self.deviation, 6)}
        return {**shown, "interval": bounds}


def model_metrics(counts: Sequence[np.ndarray], test_share: float, confidence: float) -> Metrics:
    """What `metrics/cross_validation.json` says of one model.

    Args:
        counts: of each fold, (K, K).
    """
    each = [fold_figures(matrix) for matrix in counts]
    summaries = {}
    for name in each[0]:
        it = FoldMean(tuple(fold[name] for fold in each), test_share)
        summaries[name] = it.summary(confidence, -1.0 if name == "mcc" else 0.0, 1.0)
    return {
        **summaries,
        "counts": np.sum(counts, axis=0).tolist(),  # rows true, columns predicted; of all repeats
        "folds": [{name: round(value, 6) for name, value in fold.items()} for fold in each],
    }


def comparison(first: Metrics, second: Metrics, test_share: float, confidence: float) -> Metrics:
    """Of two models' metrics by the same folds: first less second, and its p-value, by figure."""
    found = {}
    for name in first["folds"][0]:
        values = (tuple(fold[name] for fold in model["folds"]) for model in (first, second))
        it = FoldMean(tuple(np.subtract(*values).tolist()), test_share)
        found[name] = {**it.summary(confidence), "p_value": round(it.p_value, 6)}
    return found


def cross_validation_metrics(
    counts: dict[str, list[np.ndarray]], test_share: float, confidence: float, name: str
) -> Metrics:
    """The figures of GPT-2 and of the baseline, their difference, and what to make of it.

    Args:
        counts: by `gpt2` and `baseline`, of the same folds, (K, K) each.
        name: of GPT-2's weights.
    """
    metrics = {model: model_metrics(c, test_share, confidence) for model, c in counts.items()}
    found = comparison(metrics["gpt2"], metrics["baseline"], test_share, confidence)
    summary = verdict(found, name, "the baseline", confidence)
    return {**metrics, "difference": found, "confidence": confidence, "summary": summary}


def fold_spread(metrics: Metrics) -> tuple[Spread, list[str], list[str]]:
    """What `folds_figure` draws: all values and bounds, and which figures rise and which fall."""
    shown = [name for name in NAMES if name in metrics["difference"]]
    spread = {
        model: {
            NAMES[name]: ([fold[name] for fold in figures["folds"]], figures[name]["interval"])
            for name in shown
        }
        for model, figures in ((model, metrics[model]) for model in MODELS)
    }
    rising = [NAMES[name] for name in shown if name not in FALLING]
    return spread, rising, [NAMES[name] for name in shown if name in FALLING]


def verdict(found: Metrics, first: str, second: str, confidence: float) -> str:
    """Whether one of two is better by the folds, and by how much, in one sentence.

    Args:
        found: of `comparison`.
        first, second: the classifiers' names.
    """
    it = found[HEADLINE]
    low, high = (f"{100 * bound:+.1f}" for bound in it["interval"])
    by = f"{NAMES[HEADLINE]} {100 * it['mean']:+.1f} points ({low} to {high})"
    if it["p_value"] >= 1 - confidence:
        return f"No difference between {first} and {second} can be shown by the folds: {by}."
    better, worse = (first, second) if it["mean"] > 0 else (second, first)
    start = better.replace("the ", "The ", 1) if better.startswith("the ") else better
    return f"{start} is better than {worse} by the folds: {by}."


def same_folds(first: Metrics, second: Metrics) -> bool:
    """Whether two metrics files are of the same messages in the same folds."""
    digests = first.get("folds_sha256"), second.get("folds_sha256")
    return None not in digests and digests[0] == digests[1]
