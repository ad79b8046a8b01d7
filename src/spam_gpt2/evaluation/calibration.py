"""Whether probabilities are as often right as they say, and the temperature that mends it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from spam_gpt2.evaluation.metrics import share_interval

# Far beyond what is needed, so that a fit which ends here has found no best temperature.
TEMPERATURES = (0.05, 20.0)


def cross_entropy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative log-likelihood of the true classes, in nats."""
    return float(-log_probabilities(probabilities)[np.arange(len(labels)), labels].mean())


def fit_temperature(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """The temperature with the least cross-entropy (Guo et al. 2017, section 4.2).

    When every message is right, the colder the better: the result is then the lowest of
    `TEMPERATURES`, which says no more than that these messages are too easy to fit one.
    """

    def loss(log_t: float) -> float:
        return cross_entropy(labels, with_temperature(probabilities, np.exp(log_t)))

    lowest, highest = np.log(TEMPERATURES)
    fit = minimize_scalar(loss, bounds=(lowest, highest), method="bounded")
    # Among temperatures whose losses are all 0, the search stops wherever it happens to be.
    return TEMPERATURES[0] if loss(lowest) <= fit.fun else float(np.exp(fit.x))


def with_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of the logits over the temperature, (N, K); above 1 is less certain.

    Log-probabilities are logits but for a constant of each row, which softmax takes out.
    """
    return np.exp(log_softmax(log_probabilities(probabilities) / temperature, axis=1))


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, bins: int, weights: np.ndarray | None = None
) -> pd.DataFrame:
    """What is said and what is so, in bins of equal width, without those that hold no message.

    Of two classes it is the probability of the positive one, and how many are of it; of more, that
    of the predicted class, and how many are of it (Guo et al. 2017, section 2).

    Returns: columns from, to (a bin leaves out its lower end), messages, probability (their mean)
    and share (of those that are of the class).
    """
    if probabilities.shape[1] == 2:
        stated, is_so = probabilities[:, 1], labels == 1
    else:
        stated, is_so = probabilities.max(1), labels == probabilities.argmax(1)
    edges = np.linspace(0, 1, bins + 1)
    places = np.searchsorted(edges[1:-1], stated)
    filled, inverse, counts = np.unique(places, return_inverse=True, return_counts=True)
    if weights is not None:
        stated, is_so, counts = stated * weights, is_so * weights, np.bincount(inverse, weights)
    return pd.DataFrame(
        {
            "from": edges[filled],
            "to": edges[filled + 1],
            "messages": counts,
            "probability": np.bincount(inverse, stated) / counts,
            "share": np.bincount(inverse, is_so) / counts,
        }
    )


def with_intervals(bins: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """`reliability`'s bins with low and high, the bounds of Wilson's interval of each share."""
    hits = (bins["share"] * bins["messages"]).round().astype(int)
    pairs = zip(hits, bins["messages"], strict=True)
    bounds = np.array([share_interval(hit, total, confidence) for hit, total in pairs])
    return bins.assign(low=bounds[:, 0], high=bounds[:, 1])


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """Mean distance of share and probability over the messages (Guo et al. 2017, eq. 3)."""
    distance = (bins["share"] - bins["probability"]).abs()
    return float((bins["messages"] * distance).sum() / bins["messages"].sum())


def calibration_figures(
    labels: np.ndarray, probabilities: np.ndarray, bins: int
) -> dict[str, float]:
    """Expected calibration error of `reliability`'s bins, and the cross-entropy."""
    error = expected_calibration_error(reliability(labels, probabilities, bins))
    loss = cross_entropy(labels, probabilities)
    return {"expected_calibration_error": round(error, 6), "loss": round(loss, 6)}


def at_temperature(
    splits: dict[str, tuple[np.ndarray, np.ndarray]],
    temperature: float,
    bins: int,
    confidence: float,
) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Figures of validation and test as they are and with a temperature; the test's curves.

    Args:
        splits: classes (N,) and probabilities (N, K) of each.
    """
    found: dict[str, Any] = {"temperature": temperature}
    tables = {}
    for name, t in (("unscaled", 1.0), ("scaled", temperature)):
        found[name] = {}
        for split in ("validation", "test"):
            actual, scaled = splits[split][0], with_temperature(splits[split][1], t)
            found[name][split] = calibration_figures(actual, scaled, bins)
        tables[name] = with_intervals(reliability(actual, scaled, bins), confidence)
    return found, tables


def log_probabilities(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms; of a probability too small for a float64, that of the smallest there is."""
    return np.log(probabilities.clip(np.finfo(np.float64).tiny))
