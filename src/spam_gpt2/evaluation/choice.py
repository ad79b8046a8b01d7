"""The decision that validation gives, by the parameters of `calibrate`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import Any

import numpy as np

from spam_gpt2.classifier.decision import UNSURE, Decision
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, Calibrate
from spam_gpt2.evaluation.calibration import TEMPERATURES, fit_temperature, log_probabilities
from spam_gpt2.evaluation.costs import cheapest_thresholds
from spam_gpt2.evaluation.threshold import choose_threshold, negatives_needed, rounded_up, short


def check_classes(given: Calibrate, labels: list[str]) -> None:
    """Refuse what means nothing for these classes, in one line."""
    only_of_two = {"costs": given.costs, "unsure": given.unsure}
    if not isinstance(given.prevalence, str):
        only_of_two["prevalence"] = given.prevalence
    for name, value in only_of_two.items():
        if value is not None and len(labels) != 2:
            advice = "data or null" if name == "prevalence" else "null"
            raise InputError(
                f"{PARAMS_PATH}: calibrate.{name}: is of two classes, and there are {len(labels)}; "
                f"set it to {advice}"
            )
    if given.unsure is not None and UNSURE in labels:
        raise InputError(
            f"{PARAMS_PATH}: calibrate.unsure: a class is called {UNSURE}, too; set it to null"
        )


def class_shares(
    trained: list[int], read: list[int], prevalence: float | str | None
) -> tuple[list[float], list[float]]:
    """The shares of the classes in training, and where messages come from.

    Args:
        trained, read: messages of each class in the training set, and of all that were read.
        prevalence: as `calibrate.prevalence`, a number for two classes only.
    """
    in_training, in_all = ([n / sum(counts) for n in counts] for counts in (trained, read))
    if prevalence is None:
        return in_training, in_training
    if prevalence == "data":
        return in_training, in_all
    return in_training, [1 - prevalence, prevalence]


@dataclass(frozen=True)
class Validation:
    """What decisions are chosen on."""

    labels: list[str]
    actual: np.ndarray  # classes, (N,)
    probabilities: np.ndarray  # as trained, (N, K)
    training_shares: list[float]
    given: Calibrate

    @property
    def counts(self) -> list[int]:
        """Messages of each class."""
        return np.bincount(self.actual, minlength=len(self.labels)).tolist()

    @property
    def rule(self) -> str:
        """By which rule the label is chosen, in words."""
        given, costs = self.given, self.given.costs
        if len(self.labels) != 2:
            return "the most probable class"
        if costs is None:
            return f"a false-positive rate of at most {given.false_positive_rate:g}"
        unsure = "" if given.unsure is None else f", unsure {given.unsure:g}"
        return f"the least cost: missed {costs.missed:g}, blocked {costs.blocked:g}{unsure}"

    @cached_property
    def temperature(self) -> float:
        """The fitted one; 1 where the search ends at a bound, as validation is too easy to fit."""
        found = fit_temperature(self.actual, self.probabilities)
        lowest, highest = TEMPERATURES
        return round(found, 6) if 1.001 * lowest < found < 0.999 * highest else 1.0

    def choose(self, shares: list[float]) -> Decision:
        """The decision for messages with these shares of the classes."""
        given, of = self.given, (self.labels, self.temperature, self.training_shares, shares)
        decision = Decision(*of, threshold=None, unsure_from=None)
        if len(self.labels) != 2:
            return decision
        if given.costs is None:
            p = self.probabilities_of(decision)[:, 1]
            chosen = choose_threshold(self.actual == 1, p, given.false_positive_rate)
            return replace(decision, threshold=short(chosen).value)
        unsure_from, threshold = cheapest_thresholds(given.costs, given.unsure)
        return replace(
            decision,
            threshold=rounded_up(threshold, 6),
            unsure_from=None if unsure_from is None else rounded_up(unsure_from, 6),
        )

    def probabilities_of(self, decision: Decision) -> np.ndarray:
        """As the decision has them, (N, K)."""
        return decision.probabilities(log_probabilities(self.probabilities))

    def about(self, decision: Decision, confidence: float) -> dict[str, Any]:
        """The threshold of two classes, and what validation says of a false-positive rate."""
        found: dict[str, Any] = {"value": decision.threshold}
        if decision.unsure_from is not None:
            found["unsure_from"] = decision.unsure_from
        found["as_trained"] = round(threshold_as_trained(decision), 9)
        rate = self.given.false_positive_rate
        if self.given.costs is None:
            p = self.probabilities_of(decision)[:, 1]
            chosen = choose_threshold(self.actual == 1, p, rate)
            found |= {"negatives": chosen.negatives, "allowed": chosen.allowed}
            found["negatives_needed"] = negatives_needed(rate, confidence)
        return found


def threshold_as_trained(decision: Decision) -> float:
    """The same threshold for the probabilities as the classifier gives them."""
    threshold = decision.threshold
    if threshold is None or not 0 < threshold < 1:
        return threshold or 0.0
    (before, trained), (rest, share) = decision.training_shares, decision.shares
    shift = log(share / rest) - log(trained / before)
    odds = (log(threshold / (1 - threshold)) - shift) * decision.temperature
    return 1 / (1 + exp(-odds)) if odds > -700 else 0.0
