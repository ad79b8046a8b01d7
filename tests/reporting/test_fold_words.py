"""By the folds: what is real, what may be chance, and what to do about it."""

from __future__ import annotations

import re
from math import sqrt

import numpy as np
import pytest
from folded import BASELINE, CAUGHT, cross_validation
from scipy import stats

from spam_gpt2.reporting.fold_words import advice, fold_movements, folds_section

BETTER = (10, 5, 9, 7, 10, 8)
UNEVEN = (10, 3, 9, 5, 10, 7)


def test_what_is_better_in_every_fold_is_real() -> None:
    text = folds_section(cross_validation(), cross_validation(BETTER))
    change = (np.array(BETTER) - CAUGHT) / 20  # of the balanced accuracy: ham is all right
    t = change.mean() / (change.std(ddof=1) * sqrt(1 / 6 + 1 / 5))
    p_value = 2 * stats.t(5).sf(t)
    assert p_value < 0.05
    assert (
        "gpt2-mini by the folds: balanced accuracy goes from 86.67% to 90.83%. The difference, "
        f"{100 * change.mean():+.2f} points" in text
    )
    assert f"p = {p_value:.2g}), is **real by the folds**." in text
    assert "The same 6 folds on both sides, compared pair by pair" in text
    assert "baseline" not in text  # which is the same


def test_what_is_better_here_and_worse_there_may_be_chance() -> None:
    text = folds_section(cross_validation(), cross_validation(UNEVEN))
    assert "is **not real by the folds**: chance may explain it." in text


def test_other_folds_are_no_pairs() -> None:
    """What is real pair by pair cannot be told by folds that differ as much as these."""
    text = folds_section(cross_validation(), cross_validation(BETTER, digest="cd"))
    assert "**not real by the folds**" in text
    assert "The folds differ, so the sides are compared as independent samples." in text
    assert "p = " not in text


def test_the_same_figures_are_no_section() -> None:
    assert folds_section(cross_validation(), cross_validation()) == ""
    assert folds_section({}, cross_validation()) == ""
    assert folds_section(cross_validation(), {}) == ""


def test_every_figure_that_moves_has_the_interval_of_its_pairs() -> None:
    found = {it.key: it for it in fold_movements(cross_validation(), cross_validation(BETTER))}
    assert set(found) == {
        f"gpt2.{name}" for name in ("balanced_accuracy", "accuracy", "recall", "mcc")
    }
    recall = found["gpt2.recall"]
    change = (np.array(BETTER) - CAUGHT) / 10
    error = change.std(ddof=1) * sqrt(1 / 6 + 1 / 5)
    reach = stats.t(5).ppf(0.975) * error
    assert recall.interval == pytest.approx(
        (change.mean() - reach, change.mean() + reach), abs=1e-5
    )
    assert not recall.is_noise


@pytest.mark.parametrize(
    ("gpt2", "baseline", "expected"),
    [
        (CAUGHT, BASELINE, "So take the classifier."),
        (BASELINE, CAUGHT, "So take the baseline: it is cheaper, too."),
        (CAUGHT, UNEVEN, "So take the cheaper of the two, the baseline."),
    ],
)
def test_the_advice_follows_the_test(
    gpt2: tuple[int, ...], baseline: tuple[int, ...], expected: str
) -> None:
    metrics = cross_validation(gpt2, baseline)
    assert advice(metrics) == expected
    shown = not re.match("No difference", metrics["summary"])
    assert shown == ("cheaper of the two" not in expected)
