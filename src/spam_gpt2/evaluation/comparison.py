"""Two classifiers on the same messages: is one better, or was it chance?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats


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

    @property
    def p_value(self) -> float:
        """The exact test of McNemar 1947, two-sided; 1 when both are right about the same.

        Were both equally good, a message that only one got right would be either's with
        probability 1/2. The value is how often chance divides these so unevenly, or more.
        """
        differing = self.only_first + self.only_second
        return float(stats.binomtest(self.only_first, differing).pvalue) if differing else 1.0

    def figures(self, split: str, first: str, second: str) -> dict[str, Any]:
        """Counts, difference and p-value, and a summary in plain words.

        Args:
            split, first, second: names of the messages and of the classifiers.
        """
        return {
            **vars(self),
            "accuracy_difference": round(self.accuracy_difference, 6),
            "p_value": round(self.p_value, 6),
            "summary": (
                f"Of {self.table.sum()} {split} messages, only {first} is right about "
                f"{self.only_first} and only {second} about {self.only_second}. Were both equally "
                f"good, chance would divide these at least as unevenly with probability "
                f"{self.p_value:.2g} (exact McNemar test)."
            ),
        }
