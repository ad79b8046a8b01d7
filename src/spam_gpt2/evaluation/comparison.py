"""Two classifiers on the same messages: is one better, or was it chance?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

from spam_gpt2.evaluation.intervals import Bounds, paired_difference_interval


@dataclass(frozen=True)
class Comparison:
    """How many messages both, only one and neither of two classifiers got right."""

    both: int
    only_first: int
    only_second: int
    neither: int

    @classmethod
    def of(cls, first: np.ndarray, second: np.ndarray) -> Comparison:
        """Count from whether each was right about each message, (N,) of bool."""
        return cls(
            both=int((first & second).sum()),
            only_first=int((first & ~second).sum()),
            only_second=int((~first & second).sum()),
            neither=int((~first & ~second).sum()),
        )

    @property
    def table(self) -> np.ndarray:
        """The counts (2, 2): rows first right and wrong, columns second right and wrong."""
        return np.array([[self.both, self.only_first], [self.only_second, self.neither]])

    @property
    def accuracy_difference(self) -> float:
        """Accuracy of the first less that of the second."""
        return (self.only_first - self.only_second) / int(self.table.sum())

    def interval(self, confidence: float) -> Bounds:
        """That of the difference of the accuracies."""
        return paired_difference_interval(self.table, confidence)

    @property
    def p_value(self) -> float:
        """The exact test of McNemar 1947, two-sided; 1 when both are right about the same.

        Were both equally good, a message that only one got right would be either's with
        probability 1/2. The value is how often chance divides these so unevenly, or more.
        """
        differing = self.only_first + self.only_second
        return float(stats.binomtest(self.only_first, differing).pvalue) if differing else 1.0

    def verdict(self, split: str, first: str, second: str, confidence: float) -> str:
        """Whether one of the two is better, in one sentence.

        Args:
            split, first, second: names of the messages and of the classifiers.
            confidence: of the test; 0.95 calls a difference shown when its p-value is below 0.05.
        """
        total, alone = int(self.table.sum()), (self.only_first, self.only_second)
        low, high = (f"{100 * bound:+.1f}" for bound in self.interval(confidence))
        counts = (
            f"only {first} is right about {alone[0]:,} of them, only {second} about {alone[1]:,}; "
            f"accuracy {100 * self.accuracy_difference:+.1f} points ({low} to {high})."
        )
        if self.p_value >= 1 - confidence:
            start = f"No difference between {first} and {second} can be shown"
        else:
            better, worse = (first, second) if alone[0] > alone[1] else (second, first)
            start = f"{better[0].upper()}{better[1:]} is better than {worse}"
        return f"{start} on {total:,} {split} messages: {counts}"

    def figures(self, split: str, first: str, second: str, confidence: float) -> dict[str, Any]:
        """Counts, difference and p-value, and the verdict; arguments as there."""
        return {
            **vars(self),
            "accuracy_difference": round(self.accuracy_difference, 6),
            "interval": [round(bound, 6) for bound in self.interval(confidence)],
            "p_value": round(self.p_value, 6),
            "summary": self.verdict(split, first, second, confidence),
        }
