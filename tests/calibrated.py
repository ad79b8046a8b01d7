"""What `metrics/calibration.json` holds, for the tests of what reports make of it."""

from __future__ import annotations

from typing import Any


def calibration(labels: list[str]) -> dict[str, Any]:
    """As `calibrate` writes it: of two classes 1 in 5 messages is positive."""
    figures = {"accuracy": 0.9, "recall": 0.8, "precision": 0.7, "false_positive_rate": 0.1}
    decision = {**figures, "intervals": {name: [0.05, 0.93] for name in figures}}
    splits = {"validation": decision, "test": decision}
    of_class = {"messages": 800.0, "wrong": 8.0, "interval": [4.0, 16.0], "seen": 400,
                "seen_wrong": 4}  # fmt: skip
    positive = {"messages": 200.0, "wrong": 50.0, "interval": [30.0, 80.0], "seen": 100,
                "seen_wrong": 25}  # fmt: skip
    calibrated = {"test": {"expected_calibration_error": 0.05, "loss": 0.2}}
    found = {
        "labels": labels,
        "decision": dict.fromkeys(labels, of_class) | {labels[-1]: positive},
        "calibration": {"of": "probability of spam", "temperature": 1.5, "unscaled": calibrated,
                        "scaled": calibrated},
    }  # fmt: skip
    if len(labels) > 2:
        return found
    threshold = {"value": 0.9153, "as_trained": 0.98, "negatives": 74, "allowed": 0,
                 "negatives_needed": 381}  # fmt: skip
    cost = {"as_trained": 484.0, "decision": 39.987}
    cost["intervals"] = {"as_trained": [470.0, 500.0], "decision": [30.2, 51.7]}
    return {
        **found,
        "threshold": threshold,
        "expected_cost": cost,
        "at_threshold": splits,
        "argmax": splits,
    }
