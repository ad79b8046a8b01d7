"""Picture of how often probabilities come true, with the messages behind each point."""

from __future__ import annotations

from typing import TYPE_CHECKING

from spam_gpt2.figures.style import COLOURS, MARKS, QUIET, line_style, new_figure, shortened

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAME = 40  # characters beside the upper axes


def reliability_figure(tables: dict[str, pd.DataFrame], *, of: str, note: str = "") -> Figure:
    """Picture of the share in each bin of probabilities; below it, how many messages it holds.

    Args:
        tables: by name, a row a bin: from, to, messages, probability (their mean), share, and the
            bounds of its interval, low and high.
        of: the class whose probability it is.
        note: stands below the title.
    """
    figure = new_figure(5.8, 5.2, "Reliability of the classifier (test)", note)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1.25))
    upper.plot([0, 1], [0, 1], color=QUIET, linestyle=":", linewidth=1.2, label="as often as said")
    for i, (name, table) in enumerate(tables.items()):
        xs, colour = table["probability"], COLOURS[i]
        upper.vlines(xs, table["low"], table["high"], color=colour, linewidth=1.2, alpha=0.6)
        upper.plot(xs, table["share"], marker=MARKS[i], label=name, **line_style(i))
        _draw_counts(lower, table, i, len(tables))
    upper.set(ylabel=shortened(f"share that is {of}", NAME), xlim=(-0.02, 1.02), ylim=(-0.03, 1.03))
    lower.set(xlabel="mean probability in the bin", ylabel="messages")
    lower.margins(y=0.25)  # room for the numbers
    lower.grid(visible=False, axis="x")
    handles, names = upper.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), columnspacing=1.2)
    return figure


def _draw_counts(axes: Axes, table: pd.DataFrame, i: int, n: int) -> None:
    width = (table["to"] - table["from"]) * 0.86 / n
    middles = (table["from"] + table["to"]) / 2 + (i - (n - 1) / 2) * width
    bars = axes.bar(middles, table["messages"], width, color=COLOURS[i], edgecolor="white")
    if width.min() > 0.02:  # else one number would cover the next
        axes.bar_label(bars, padding=1, fontsize=7)
