"""Reliability: shares with their intervals, and the messages of each bin below."""

from __future__ import annotations

import pandas as pd
from pictures import legend_of, line_named, overlapping

from spam_gpt2.figures.reliability import reliability_figure
from spam_gpt2.figures.style import words_of

BINS = pd.DataFrame(
    {
        "from": [0.0, 0.9],
        "to": [0.1, 1.0],
        "messages": [120, 7],
        "probability": [0.02, 0.97],
        "share": [0.05, 0.8],
        "low": [0.03, 0.5],
        "high": [0.1, 0.95],
    }
)


def test_shares_intervals_and_counts_are_those_of_the_bins() -> None:
    figure = reliability_figure(
        {"unscaled": BINS, "scaled, temperature 1.11": BINS.assign(messages=[119, 8])},
        of="spam",
    )  # fmt: skip
    upper, lower = figure.axes
    assert legend_of(figure) == ["as often as said", "unscaled", "scaled, temperature 1.11"]
    line = line_named(upper, "unscaled")
    assert line.get_xydata().tolist() == [[0.02, 0.05], [0.97, 0.8]]
    intervals = upper.collections[0].get_segments()
    assert [segment.tolist() for segment in intervals] == [
        [[0.02, 0.03], [0.02, 0.1]],
        [[0.97, 0.5], [0.97, 0.95]],
    ]
    assert line_named(upper, "as often").get_xydata().tolist() == [[0, 0], [1, 1]]
    counts = [[bar.get_height() for bar in bars] for bars in lower.containers]
    assert counts == [[120, 7], [119, 8]]
    assert [text.get_text() for text in lower.texts] == ["120", "7", "119", "8"]
    assert (upper.get_ylabel(), lower.get_xlabel(), lower.get_ylabel()) == (
        "share that is spam", "mean probability in the bin", "messages",
    )  # fmt: skip
    assert words_of(figure, "title") == "Reliability of the classifier (test)"
    assert overlapping(figure) == []


def test_of_many_bins_the_bars_alone_count() -> None:
    edges = [i / 40 for i in range(41)]
    table = pd.concat([BINS.iloc[:1]] * 40, ignore_index=True)
    table = table.assign(**{"from": edges[:-1], "to": edges[1:]})
    figure = reliability_figure({"a": table, "b": table}, of="x")
    assert not figure.axes[1].texts
