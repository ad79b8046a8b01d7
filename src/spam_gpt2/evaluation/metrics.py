"""Figures of merit of a classifier, by scikit-learn, and how far they can be trusted."""

from __future__ import annotations

import numpy as np
from sklearn import metrics as sk

from spam_gpt2.evaluation.intervals import share_interval


def classification_metrics(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Accuracy, precision, recall, F1, ROC AUC and loss of one split.

    With two classes, the last is the positive one (spam); with more, precision, recall, F1 and ROC
    AUC (one against the rest) are macro averages. A precision without a predicted positive is 0.

    Args:
        labels: class of each message, (N,) of int; every class is there.
        probabilities: (N, K), rows sum to 1.
    """
    predicted, n_classes = probabilities.argmax(1), probabilities.shape[1]
    precision, recall, f1, _ = sk.precision_recall_fscore_support(
        labels, predicted, average="binary" if n_classes == 2 else "macro", zero_division=0.0
    )
    one_hot = np.eye(n_classes, dtype=int)[labels]
    is_class, scores = (labels, probabilities[:, 1]) if n_classes == 2 else (one_hot, probabilities)
    figures = {
        "accuracy": sk.accuracy_score(labels, predicted),
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "roc_auc": sk.roc_auc_score(is_class, scores, average="macro"),
        "loss": sk.log_loss(labels, probabilities, labels=range(n_classes)),
    }
    return {name: round(float(value), 6) for name, value in figures.items()}


def confidence_intervals(
    labels: np.ndarray,
    probabilities: np.ndarray,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> dict[str, list[float]]:
    """Lower and upper bound of each of `classification_metrics`.

    Accuracy is a share of N messages: Wilson's score interval (Wilson 1927). The others: bootstrap
    percentiles over the messages, resampled within each class (Efron & Tibshirani 1993, ch. 13).
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(labels == k) for k in np.unique(labels)]
    resample = _Resampling(labels, probabilities)
    drawn = [
        resample.figures(np.concatenate([random.choice(m, len(m)) for m in members]))
        for _ in range(resamples)
    ]
    tail = 50 * (1 - confidence)
    intervals = {}
    for name in drawn[0]:
        bounds = np.percentile([figures[name] for figures in drawn], [tail, 100 - tail])
        intervals[name] = [round(float(bound), 6) for bound in bounds]
    right = int((probabilities.argmax(1) == labels).sum())
    return {"accuracy": share_interval(right, len(labels), confidence)} | intervals


class _Resampling:
    """What `classification_metrics` gives but accuracy, for resamples of the same messages.

    Scikit-learn takes milliseconds a resample, nearly all of them to check its arguments. ROC AUC
    is computed from ranks (Mann & Whitney 1947): each class's probabilities are sorted once, and a
    resample only counts how often each message was drawn.
    """

    def __init__(self, labels: np.ndarray, probabilities: np.ndarray) -> None:
        """Labels (N,) and probabilities (N, K), as in `classification_metrics`."""
        self.labels, self.n_classes = labels, probabilities.shape[1]
        self.predicted = probabilities.argmax(1)
        self.of_interest = [1] if self.n_classes == 2 else list(range(self.n_classes))
        tiny = np.finfo(probabilities.dtype).eps  # where scikit-learn clips, too
        own = probabilities[np.arange(len(labels)), labels]
        self.log_own = np.log(own.clip(tiny, 1 - tiny))
        self.orders, self.bounds = [], []
        for k in self.of_interest:
            order = probabilities[:, k].argsort()
            sorted_ = probabilities[order, k]
            mine = own[labels == k]
            self.orders.append(order)
            # Where the messages of the class's own begin and end among those of the same value.
            self.bounds.append([np.searchsorted(sorted_, mine, side) for side in ("left", "right")])

    def figures(self, chosen: np.ndarray) -> dict[str, float]:
        """Figures of the messages drawn, by their places, (N,)."""
        labels, predicted, total = self.labels[chosen], self.predicted[chosen], len(chosen)
        sizes = np.bincount(labels, minlength=self.n_classes)[self.of_interest]
        flagged = np.bincount(predicted, minlength=self.n_classes)[self.of_interest]
        right = labels[labels == predicted]
        hits = np.bincount(right, minlength=self.n_classes)[self.of_interest]
        drawn = np.bincount(chosen, minlength=len(self.labels))
        ranks = np.array([self._rank_sum(i, drawn) for i in range(len(self.of_interest))])
        auc = (ranks - sizes * (sizes + 1) / 2) / (sizes * (total - sizes))
        columns = (hits / np.maximum(flagged, 1), hits / sizes, 2 * hits / (flagged + sizes), auc)
        precision, recall, f1, roc_auc = np.mean(np.stack(columns, axis=1), axis=0)
        loss = -self.log_own[chosen].mean()
        return {
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "roc_auc": roc_auc,
            "loss": loss,
        }

    def _rank_sum(self, i: int, drawn: np.ndarray) -> float:
        """Sum of the mean ranks of a class's own messages, each as often as it was drawn."""
        below = np.concatenate([[0], drawn[self.orders[i]].cumsum()])
        left, right = self.bounds[i]
        ranks = (below[left] + below[right] + 1) / 2
        return float(drawn[self.labels == self.of_interest[i]] @ ranks)


def confusion(labels: np.ndarray, probabilities: np.ndarray, n_classes: int) -> np.ndarray:
    """Counts (K, K): rows are the true classes, columns the predicted."""
    return sk.confusion_matrix(labels, probabilities.argmax(1), labels=range(n_classes))


def roc_points(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """False-positive and true-positive rates over all thresholds of the positive class.

    With more than two classes: the micro average, each class against the rest.
    """
    fpr, tpr, _ = sk.roc_curve(*_binary_view(labels, probabilities))
    return fpr, tpr


def precision_recall_points(
    labels: np.ndarray, probabilities: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Recall and precision over all thresholds of the positive class; micro average as above."""
    precision, recall, _ = sk.precision_recall_curve(*_binary_view(labels, probabilities))
    return recall[::-1], precision[::-1]


def _binary_view(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Is it the class, and how probable: of the positive class, or of every class in one row."""
    if probabilities.shape[1] == 2:
        return labels, probabilities[:, 1]
    return np.eye(probabilities.shape[1], dtype=int)[labels].ravel(), probabilities.ravel()
