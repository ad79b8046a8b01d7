"""How both classifiers do on messages from elsewhere, and how far these are from their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats
from sklearn.pipeline import Pipeline

from spam_gpt2.classifier.decision import Decision
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.folding import fold_texts
from spam_gpt2.common.params import Evaluate
from spam_gpt2.evaluation.intervals import share_interval
from spam_gpt2.evaluation.metrics import classification_metrics, confidence_intervals, confusion
from spam_gpt2.evaluation.predictions import label_ids
from spam_gpt2.evaluation.threshold import decided_figures, decision_figures
from spam_gpt2.figures.charts import save_dots
from spam_gpt2.figures.style import MODELS


@dataclass(frozen=True)
class Judged:
    """Messages and what was found: figures of `gpt2` and `baseline`, and GPT-2's probabilities."""

    texts: list[str]
    probabilities: np.ndarray  # (N, K)
    figures: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Judges:
    """The classifier and the baseline that was trained on the same messages."""

    predictor: Predictor
    baseline: Pipeline
    settings: Evaluate
    decision: Decision | None = None  # that `calibrate` saved for the classifier

    def judge(self, messages: pd.DataFrame) -> Judged:
        """Both on messages with the columns label, text and origin, at least one.

        Of two classes, `gpt2` also has `decision`: the rates that the saved decision leads to.
        """
        texts, labels = messages["text"].tolist(), self.predictor.card.labels
        probabilities = np.array([p.probabilities for p in self.predictor.predict(texts)])
        others = self.baseline.predict_proba(texts)
        actual, origins = label_ids(messages, labels), messages["origin"].tolist()
        figures = {
            model: external_figures(actual, p, origins, self.settings)
            for model, p in (("gpt2", probabilities), ("baseline", others))
        }
        if self.decision is not None and len(labels) == 2:
            rates = decided_figures(actual, probabilities, self.decision, self.settings.confidence)
            figures["gpt2"]["decision"] = rates
        return Judged(texts, probabilities, figures)

    def drift(self, train: Sequence[str], own: Judged, other: Judged) -> dict[str, Any]:
        """What `drift` says of the tokens that the classifier reads."""
        return drift(
            self._tokens(train),
            {
                "own_test": (self._tokens(own.texts), own.probabilities),
                "external": (self._tokens(other.texts), other.probabilities),
            },
        )

    def _tokens(self, texts: Sequence[str]) -> list[list[int]]:
        card, tokenizer = self.predictor.card, self.predictor.tokenizer
        return tokenizer.encode_ordinary_batch(fold_texts(texts, card.fold))


def external_figures(
    actual: np.ndarray, probabilities: np.ndarray, origins: Sequence[str], settings: Evaluate
) -> dict[str, Any]:
    """The figures that test has, with intervals, and the share right of each label of the file.

    Where a class has no message, only what can be told without it is there. Of two classes, the
    false-positive rate is there, too.

    Args:
        actual: class of each message, (N,), at least one.
        probabilities: (N, K), rows sum to 1.
        origins: label of each message in the file's own terms.
    """
    n_classes = probabilities.shape[1]
    right = probabilities.argmax(1) == actual
    figures: dict[str, Any] = {"accuracy": round(float(right.mean()), 6)}
    intervals: dict[str, Any] = {"accuracy": _interval(right, settings)}
    if len(np.unique(actual)) == n_classes:
        figures |= classification_metrics(actual, probabilities)
        intervals |= confidence_intervals(actual, probabilities, **settings.model_dump())
    if n_classes == 2:
        is_positive, taken = actual == 1, probabilities.argmax(1) == 1
        decided = decision_figures(is_positive, taken, settings.confidence)
        for name in ("recall", "false_positive_rate"):
            if name in decided:
                figures[name], intervals[name] = decided[name], decided["intervals"][name]
    by_label = {}
    for origin in sorted(set(origins)):
        of_one = right[np.asarray(origins) == origin]
        share, interval = round(float(of_one.mean()), 6), _interval(of_one, settings)
        by_label[origin] = {"messages": len(of_one), "right": share, "interval": interval}
    return {
        **figures,
        "intervals": intervals,
        "by_label": by_label,
        "confusion": confusion(actual, probabilities, n_classes).tolist(),
    }


def _interval(right: np.ndarray, settings: Evaluate) -> list[float]:
    return share_interval(int(right.sum()), len(right), settings.confidence)


def drift(
    train: Sequence[Sequence[int]],
    sets: dict[str, tuple[Sequence[Sequence[int]], np.ndarray]],
) -> dict[str, Any]:
    """How far messages are from those that trained: tokens, lengths, and how sure the model is.

    Args:
        train: token ids of each training message.
        sets: by name, the token ids of each message and the probabilities, (N, K). The others are
            held against the first, our own test messages.

    Returns: for each set unseen_tokens, the share of its tokens that no training message has;
        tokens_mean and tokens_median of a message; confidence_mean and confidence_p10 (a tenth of
        the messages is below) of the predicted class's probability; and for all but the first
        confidence_distance, the two-sample Kolmogorov-Smirnov statistic of it, from 0 to 1.
    """
    seen = {token for message in train for token in message}
    own = next(iter(sets.values()))[1].max(1)
    found: dict[str, Any] = {}
    for name, (messages, probabilities) in sets.items():
        lengths = np.array([len(message) for message in messages])
        unseen = sum(token not in seen for message in messages for token in message)
        confidence = probabilities.max(1)
        values = {
            "unseen_tokens": unseen / max(int(lengths.sum()), 1),
            "tokens_mean": lengths.mean(),
            "tokens_median": np.median(lengths),
            "confidence_mean": confidence.mean(),
            "confidence_p10": np.quantile(confidence, 0.1),
        }
        if found:
            values["confidence_distance"] = stats.ks_2samp(own, confidence).statistic
        found[name] = {key: round(float(value), 6) for key, value in values.items()}
    return found


def right_rows(name: str, figures: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the table: the share right of a set, then of each of its labels where it has several.

    Args:
        figures: of each classifier, as `external_figures` gives them.
    """
    rows = []
    for model, found in figures.items():
        by_label, interval = found["by_label"], found["intervals"]["accuracy"]
        total = sum(row["messages"] for row in by_label.values())
        every = {"messages": total, "right": found["accuracy"], "interval": interval}
        several = by_label.items() if len(by_label) > 1 else ()
        for label, row in (("", every), *several):
            low, high = row["interval"]
            shares = {"right": row["right"], "low": low, "high": high}
            rows.append(
                {"set": name, "label": label, "model": model, "messages": row["messages"]} | shares
            )
    return rows


def right_table(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The rows as a table, which has its columns without a row, too."""
    columns = ["set", "label", "model", "messages", "right", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


def save_right(path: Path, table: pd.DataFrame, *, note: str) -> None:
    """Write the picture of a table of `right_rows`."""
    places = table[table["model"] == "gpt2"]
    names = [
        f"{row.set}{f', {row.label}' if row.label else ''} ({row.messages:,})"
        for row in places.itertuples()
    ]
    points, intervals = {}, {}
    for model, shown in MODELS.items():
        of_one = table[table["model"] == model]
        points[shown] = of_one["right"].tolist()
        intervals[shown] = list(zip(of_one["low"], of_one["high"], strict=True))
    title = "The classifier and the baseline on messages from elsewhere"
    x = "share taken for the right class, and its interval"
    save_dots(path, names, points, title=title, x=x, note=note, intervals=intervals)
