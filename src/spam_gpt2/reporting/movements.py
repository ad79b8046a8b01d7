"""What moved between two revisions: beyond its interval, or within it, which is noise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from spam_gpt2.common.markdown import code, details, escape, table
from spam_gpt2.evaluation.intervals import difference_interval, share_interval

Metrics = dict[str, Any]

SHARES = ("accuracy", "precision", "recall", "f1", "roc_auc", "false_positive_rate")
HIGHER_IS_BETTER = ("accuracy", "precision", "recall", "f1", "roc_auc", "mcc")
LOWER_IS_BETTER = ("loss", "false_positives", "false_positive_rate", "calibration_error", "wrong")
# Figures that may stand beside one `interval`, which is then theirs.
SINGLE = ("false_positive_rate", "accuracy", "wrong")
NOISE = "noise"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A figure and the bounds of its interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Movement:
    """An estimate on both sides that is not the same on both."""

    name: str  # for people, in Markdown
    key: str
    before: Estimate
    after: Estimate

    @property
    def difference(self) -> float:
        """After less before."""
        return self.after.value - self.before.value

    @property
    def interval(self) -> tuple[float, float]:
        """Of the difference; for independent samples, so conservative for the same messages."""
        (old, new) = (self.before, self.after)
        return difference_interval(old.value, (old.low, old.high), new.value, (new.low, new.high))

    @property
    def is_noise(self) -> bool:
        """Whether chance may explain it."""
        low, high = self.interval
        return low <= 0 <= high

    @property
    def size(self) -> float:
        """In half-widths of the interval's side towards 0: above 1 it is beyond."""
        low, high = self.interval
        reach = self.difference - low if self.difference > 0 else high - self.difference
        return abs(self.difference) / reach if reach else float("inf")


def estimates(
    metrics: Metrics, prefix: str = "", messages: int | None = None
) -> Iterator[tuple[str, Estimate]]:
    """Every figure of a metrics file that has an interval there, by its dotted key.

    And every accuracy below a count of messages, which is all that its interval needs.

    Args:
        messages: the count, where it stands further up.
    """
    for beside, bounds_key in ((metrics.get("test"), "test_intervals"), (metrics, "intervals")):
        bounds = metrics.get(bounds_key)
        if isinstance(beside, dict) and isinstance(bounds, dict):
            place = f"{prefix}test." if bounds_key == "test_intervals" else prefix
            yield from _estimates(beside, bounds, place)
    for name in SINGLE:
        if name in metrics and "interval" in metrics:
            yield from _estimates(metrics, {name: metrics["interval"]}, prefix)
            break
    is_share = isinstance(metrics.get("accuracy"), float)
    if messages and is_share and not {"interval", "intervals"} & metrics.keys():
        right = round(metrics["accuracy"] * messages)
        bounds = share_interval(min(max(right, 0), messages), messages, CONFIDENCE)
        yield from _estimates(metrics, {"accuracy": bounds}, prefix)
    count = metrics.get("messages")
    below = count if isinstance(count, int) and not isinstance(count, bool) else messages
    for key, value in metrics.items():
        if isinstance(value, dict):
            yield from estimates(value, f"{prefix}{key}.", below)


def _estimates(figures: Metrics, bounds: Metrics, prefix: str) -> Iterator[tuple[str, Estimate]]:
    for name, pair in bounds.items():
        if not isinstance(pair, list) or len(pair) != 2:
            continue
        numbers = [figures.get(name), *pair]
        if all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
            yield f"{prefix}{name}", Estimate(*numbers)


def movements(title: str, before: Metrics, after: Metrics) -> list[Movement]:
    """Of two versions of one metrics file, the estimates that are not the same.

    Args:
        title: what made the figures, in Markdown.
    """
    old, new = dict(estimates(before)), dict(estimates(after))
    return [
        Movement(f"{title}: {_words(key)}", key, old[key], new[key])
        for key in new
        if key in old and old[key].value != new[key].value
    ]


def _words(key: str) -> str:
    start, _, name = key.rpartition(".")
    if name == "wrong" and start.startswith("decision."):
        return f"of 1,000 messages, {escape(start.removeprefix('decision.'))} mistaken"
    return code(key)


def movements_section(found: list[Movement]) -> str:
    """What moved beyond its interval in the open, the largest first; noise is folded away."""
    distinct: dict[tuple, Movement] = {}
    for it in sorted(found, key=lambda it: len(it.key)):  # one figure may stand in two files
        distinct.setdefault((it.key.rpartition(".")[2], it.before, it.after), it)
    if not distinct:
        return ""
    ordered = sorted(distinct.values(), key=lambda it: -it.size)
    beyond = [it for it in ordered if not it.is_noise]
    noise = [it for it in ordered if it.is_noise]
    parts = ["### What moved"]
    if beyond:
        of = f"{len(beyond)} of the {len(ordered)} figures that changed"
        parts += [f"**Beyond its interval**, {of}:", _rows(beyond)]
    else:
        parts.append(
            "**Nothing moved beyond its interval.** Figures that changed: "
            f"{len(ordered)}; chance may explain each."
        )
    if noise:
        many = f"{len(noise)} figures" if len(noise) > 1 else "1 figure"
        parts.append(details(f"Noise: {many} moved within the interval", _rows(noise)))
    return "\n\n".join(parts)


def _rows(found: list[Movement]) -> str:
    rows = []
    for it in found:
        show = _percent if it.key.endswith(SHARES) else _number
        change = show(it.difference, signed=True)
        judged = NOISE if it.is_noise else judgement(it.key, it.difference > 0)
        rows.append(
            [
                it.name,
                show(it.before.value),
                show(it.after.value),
                f"{'▲' if it.difference > 0 else '▼'} {change} {judged}".rstrip(),
                " to ".join(show(bound, signed=True) for bound in it.interval),
            ]
        )
    return table(["", "before", "after", "change", "its interval"], rows)


def judgement(key: str, rises: bool) -> str:
    """Whether a figure that rises or falls gets better or worse; empty where nobody can say."""
    if key.endswith(HIGHER_IS_BETTER):
        return "better" if rises else "worse"
    if key.endswith(LOWER_IS_BETTER):
        return "worse" if rises else "better"
    return ""


def _percent(value: float, signed: bool = False) -> str:
    return f"{100 * value:+.1f}" if signed else f"{100 * value:.1f} %"


def _number(value: float, signed: bool = False) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 1 else 3
    return f"{value:{'+' if signed else ''}.{digits}f}"
