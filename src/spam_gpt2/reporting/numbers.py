"""Figures for people: as many digits as the interval bears."""

from __future__ import annotations

from collections.abc import Sequence

Bounds = Sequence[float]


def decimals(bounds: Bounds) -> int:
    """Of a share in per cent: one where the interval is narrow or near an end, else none."""
    low, high = (100 * bound for bound in bounds)
    return int(high - low < 2 or low < 1 or high > 99)


def percent(share: float, places: int = 1) -> str:
    """0.9537 as `95.4 %`."""
    return f"{100 * share:.{places}f} %"


def interval(bounds: Bounds) -> str:
    """Lower and upper bound of a share, in per cent."""
    low, high = (f"{100 * bound:.{decimals(bounds)}f}" for bound in bounds)
    return f"{low} to {high} %"


def count(messages: float) -> str:
    """An expected number of messages: whole, or one digit where it is below 1."""
    return f"{messages:,.0f}" if messages >= 1 or messages == 0 else f"{messages:.1g}"


def count_range(bounds: Bounds) -> str:
    """Lower and upper bound of such a number; they differ as they are shown, too."""
    low, high = map(count, bounds)
    return f"{low} to {high}" if low != high else "{:.2f} to {:.2f}".format(*bounds)


def points(change: float) -> str:
    """A change of a share in whole percentage points; nothing where that is 0."""
    return f"{100 * change:+.0f}" if round(100 * change) else ""
