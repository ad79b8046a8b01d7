"""Metrics of a cross-validation, as its stage writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from spam_gpt2.evaluation.cross_validation import cross_validation_metrics

CAUGHT, BASELINE = (9, 4, 8, 6, 10, 7), (8, 3, 7, 5, 9, 5)  # of 10 spam a fold


def cross_validation(
    gpt2: tuple[int, ...] = CAUGHT, baseline: tuple[int, ...] = BASELINE, digest: str = "ab"
) -> dict[str, Any]:
    """Folds of 20 ham and 10 spam: so many of the spam caught, no ham blocked."""
    counts = {
        model: [np.array([[20, 0], [10 - n, n]]) for n in caught]
        for model, caught in {"gpt2": gpt2, "baseline": baseline}.items()
    }
    share = round(1 / (len(gpt2) - 1), 6)
    return {
        "weights": "gpt2-mini",
        "labels": ["ham", "spam"],
        "folds": len(gpt2),
        "folds_sha256": digest,
        "tested": 30 * len(gpt2),
        "test_share": share,
        **cross_validation_metrics(counts, share, 0.95, "gpt2-mini"),
    }
