"""Messages of the hold-out that are taken for another class, counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from spam_gpt2.evaluation.holdout import false_positive_rate


@pytest.mark.parametrize(("negative", "wrong"), [(0, 1), (1, 4), (2, 5)])
def test_false_positive_rate_counted_by_hand(negative: int, wrong: int) -> None:
    probabilities = np.eye(3)[[0, 0, 0, 0, 1]]  # five messages of one class, and their predictions
    result = false_positive_rate(probabilities, negative, 0.9)
    interval = stats.binomtest(wrong, 5).proportion_ci(0.9, method="wilson")
    assert result == {
        "messages": 5,
        "false_positives": wrong,
        "false_positive_rate": wrong / 5,
        "interval": pytest.approx([interval.low, interval.high], abs=1e-6),
    }
