"""What reports say of cross-validation, and whether folds tell two revisions apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from spam_gpt2.common.markdown import escape
from spam_gpt2.evaluation.cross_validation import HEADLINE, NAMES, comparison, same_folds
from spam_gpt2.reporting.movements import CONFIDENCE, Estimate, Movement
from spam_gpt2.reporting.numbers import interval

FOLDS = "cross_validation"  # the metrics file
# What the field calls two of the figures (Almeida, Gómez Hidalgo & Yamakami 2011).
FILTER_NAMES = {"recall": "spam caught, SC", "false_positive_rate": "blocked ham, BH"}
SMALLEST = 0.0001  # p-value that is shown as it is
Metrics = dict[str, Any]


def advice(metrics: Mapping[str, Any]) -> str:
    """What to do about the classifier and the baseline, by cross-validation."""
    found = metrics["difference"][HEADLINE]
    if found["p_value"] >= 1 - metrics["confidence"]:
        return "So take the cheaper of the two, the baseline."
    return (
        "So take the classifier."
        if found["mean"] > 0
        else "So take the baseline: it is cheaper, too."
    )


def fold_rows(metrics: Mapping[str, Any], is_filter: bool) -> Iterator[dict[str, Any]]:
    """A row a figure for the report page: both means with intervals, difference and p-value.

    Shares are in per cent and their differences in points; Matthews' correlation is none.

    Args:
        is_filter: whether the classes are those of a spam filter.
    """
    for figure, between in metrics["difference"].items():
        sides = [metrics[model][figure] for model in ("gpt2", "baseline")]
        is_share = figure != "mcc"
        one, change = ("{:.1f} %", "{:+.1f}") if is_share else ("{:.3f}", "{:+.3f}")
        scale = 100 if is_share else 1
        yield {
            "name": NAMES[figure],
            "field": FILTER_NAMES.get(figure) if is_filter else None,
            "sides": [
                {
                    "mean": one.format(scale * side["mean"]),
                    "interval": interval(side["interval"])
                    if is_share
                    else "{:.2f} to {:.2f}".format(*side["interval"]),
                }
                for side in sides
            ],
            "difference": change.format(scale * between["mean"]),
            "interval": " to ".join(change.format(scale * b) for b in between["interval"]),
            "p": p_value(between["p_value"]).removeprefix("p = ").removeprefix("p "),
        }


@dataclass(frozen=True)
class FoldMovement(Movement):
    """The mean over the same folds on both sides, whose difference has its own interval."""

    bounds: tuple[float, float]
    p_value: float

    @property
    def interval(self) -> tuple[float, float]:
        return self.bounds


def fold_movements(before: Metrics, after: Metrics) -> list[Movement]:
    """Of two versions of the metrics file, the means over folds that are not the same.

    By the same folds the difference is tested pair by pair; by others, as of independent samples.
    """
    return [
        movement
        for model in ("gpt2", "baseline")
        if model in before and model in after
        for movement in _of_model(model, before, after)
    ]


def _of_model(model: str, before: Metrics, after: Metrics) -> list[Movement]:
    old, new, found = before[model], after[model], {}
    if same_folds(before, after):
        found = comparison(new, old, after["test_share"], CONFIDENCE)
    name = escape(after.get("weights", model)) if model == "gpt2" else model
    movements: list[Movement] = []
    for figure, called in NAMES.items():
        if figure not in old or figure not in new or old[figure] == new[figure]:
            continue
        sides = [Estimate(side[figure]["mean"], *side[figure]["interval"]) for side in (old, new)]
        parts = (f"{name} by the folds: {called}", f"{model}.{figure}", *sides)
        if figure in found:
            it = found[figure]
            movements.append(FoldMovement(*parts, tuple(it["interval"]), it["p_value"]))
        else:
            movements.append(Movement(*parts))
    return movements


def folds_section(before: Metrics, after: Metrics) -> str:
    """Whether a difference is real by the folds, a sentence for each model that changed."""
    movements = [m for m in fold_movements(before, after) if m.key.endswith(f".{HEADLINE}")]
    if not movements:
        return ""
    return "\n\n".join(["### By the folds", *map(_sentence, movements), _method(before, after)])


def _sentence(it: Movement) -> str:
    low, high = (f"{100 * bound:+.2f}" for bound in it.interval)
    tested = f"; {p_value(it.p_value)}" if isinstance(it, FoldMovement) else ""
    real = (
        "**not real by the folds**: chance may explain it"
        if it.is_noise
        else "**real by the folds**"
    )
    return (
        f"{it.name} goes from {it.before.value:.2%} to {it.after.value:.2%}. The difference, "
        f"{100 * it.difference:+.2f} points ({low} to {high}{tested}), is {real}."
    )


def p_value(value: float) -> str:
    """A p-value to two digits; a very small one by its bound."""
    return f"p = {value:.2g}" if value >= SMALLEST else f"p < {SMALLEST}"


def _method(before: Metrics, after: Metrics) -> str:
    count = len(after["gpt2"]["folds"])
    if same_folds(before, after):
        text = (
            f"The same {count} folds on both sides, compared pair by pair: the corrected resampled "
            "t-test (Nadeau & Bengio 2003)."
        )
    else:
        text = "The folds differ, so the sides are compared as independent samples."
    return f"<sub>{text}</sub>"
