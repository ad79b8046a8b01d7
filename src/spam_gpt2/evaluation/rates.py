"""What a decision costs, and how true its probabilities are, where spam is rarer or more common."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from spam_gpt2.classifier.decision import Decision, as_trained
from spam_gpt2.common.params import Calibrate, Costs
from spam_gpt2.evaluation.calibration import (
    expected_calibration_error,
    log_probabilities,
    reliability,
)
from spam_gpt2.evaluation.choice import Validation
from spam_gpt2.evaluation.costs import expected_cost, expected_cost_interval

RATES = (0.01, 0.05, 0.13, 0.5)  # shares of the positive class
SAME = Costs(missed=1.0, blocked=1.0)  # where none are given: the cost is the number of mistakes
NAMES = {
    "as_trained": "as trained",
    "decision": "with the saved decision",
    "for_rate": "chosen for this rate",
}


def at_rates(
    actual: np.ndarray,
    probabilities: np.ndarray,
    decision: Decision,
    validation: Validation,
    confidence: float,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Of two classes: expected cost of 1,000 messages and calibration error, by rate and decision.

    The messages of each class stand for as many as there are at that rate.

    Args:
        actual, probabilities: classes (N,) and probabilities as trained (N, 2).
        validation: what the decision for each rate is chosen on.
    """
    given = validation.given
    logs, found = log_probabilities(probabilities), {}
    for rate in RATES:
        shares = [1 - rate, rate]
        ways = as_trained(decision.labels), decision, validation.choose(shares)
        weights = np.array(shares)[actual] / np.bincount(actual, minlength=2)[actual]
        found[f"{rate:g}"] = {}
        for name, way in zip(NAMES, ways, strict=True):
            p = way.probabilities(logs)
            cost, interval = _cost(actual, way, logs, rate, given, confidence)
            error = expected_calibration_error(reliability(actual, p, given.bins, weights))
            figures = {"cost": cost, "cost_interval": interval}
            found[f"{rate:g}"][name] = figures | {"expected_calibration_error": round(error, 6)}
    return found


def decision_costs(
    actual: np.ndarray,
    probabilities: np.ndarray,
    decision: Decision,
    given: Calibrate,
    confidence: float,
) -> dict[str, Any]:
    """Expected cost of 1,000 messages at the decision's own prevalence, and as trained.

    Args:
        actual, probabilities: as for `at_rates`.
    """
    logs, share = log_probabilities(probabilities), decision.shares[1]
    ways = {"as_trained": as_trained(decision.labels), "decision": decision}
    found = {name: _cost(actual, w, logs, share, given, confidence) for name, w in ways.items()}
    costs = {name: cost for name, (cost, _) in found.items()}
    return costs | {"intervals": {name: interval for name, (_, interval) in found.items()}}


def _cost(
    actual: np.ndarray,
    way: Decision,
    logs: np.ndarray,
    share: float,
    given: Calibrate,
    confidence: float,
) -> tuple[float, list[float]]:
    """Expected cost and its interval."""
    facts = actual, way.classes(way.probabilities(logs)), share, given.costs or SAME, given.unsure
    interval = expected_cost_interval(*facts, confidence)
    return round(expected_cost(*facts), 3), [round(bound, 3) for bound in interval]


def rates_panels(
    found: dict[str, dict[str, dict[str, Any]]], positive: str, given: Calibrate
) -> dict[str, pd.DataFrame]:
    """The tables of a picture with bars: cost and calibration error, a row a rate."""
    cost = "mistakes of 1,000" if given.costs is None else "cost of 1,000"
    panels = {cost: ("cost", 1), "calibration error, %": ("expected_calibration_error", 100)}
    return {
        panel: pd.DataFrame(
            {NAMES[way]: [scale * ways[way][figure] for ways in found.values()] for way in NAMES},
            index=[f"{100 * float(rate):g} % {positive}" for rate in found],
        )
        for panel, (figure, scale) in panels.items()
    }
