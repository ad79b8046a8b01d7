"""How far a share of messages can be trusted."""

from __future__ import annotations

from statistics import NormalDist


def share_interval(count: int, total: int, confidence: float) -> list[float]:
    """Wilson's score interval of a share (Wilson 1927), to 6 decimals.

    As scipy.stats gives it, whose import takes longer than all else that evaluates the hold-out.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    middle = (count + z**2 / 2) / (total + z**2)
    half = z * (count * (total - count) / total + z**2 / 4) ** 0.5 / (total + z**2)
    return [round(max(middle - half, 0.0), 6), round(min(middle + half, 1.0), 6)]
