"""Pictures of lines, bars and dots."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import MaxNLocator

from spam_gpt2.figures.style import (
    COLOURS,
    MARKS,
    drawable,
    line_style,
    new_figure,
    save,
    shortened,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[np.ndarray, np.ndarray]  # x and y
NAME = 24  # characters of a bar's name
WIDE = 45  # characters of a legend; with more, each name has a line


def save_curves(path: Path, curves: dict[str, Curve], **options: object) -> None:
    """Write the picture of `curves_figure`."""
    save(curves_figure(curves, **options), path)


def curves_figure(
    curves: dict[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    note: str = "",
    bands: dict[str, tuple[np.ndarray, np.ndarray]] | None = None,
    log_x: bool = False,
) -> Figure:
    """Picture of named curves in one pair of axes.

    Args:
        x, y: what the axes show.
        note: stands below the title.
        bands: of some of the curves, the lower and upper bound at each of its x.
        log_x: the x axis is logarithmic, with a mark at each x of the curves.
    """
    figure = new_figure(5.6, 3.6, title, note)
    axes = figure.add_subplot(xlabel=drawable(x), ylabel=drawable(y))
    for i, (name, (xs, ys)) in enumerate(curves.items()):
        marks = {"marker": MARKS[i % len(MARKS)]} if len(xs) < 20 else {}
        axes.plot(xs, ys, label=name, **line_style(i), **marks)
        if bands and name in bands:
            axes.fill_between(xs, *bands[name], color=COLOURS[i % len(COLOURS)], alpha=0.18, lw=0)
    if all(np.issubdtype(xs.dtype, np.integer) for xs, _ in curves.values()):
        axes.xaxis.set_major_locator(
            MaxNLocator(8, integer=True, steps=[1, 2, 5, 10])
        )  # there is no epoch 1.5
    if log_x:
        _log_axis(axes, np.unique(np.concatenate([xs for xs, _ in curves.values()])))
    _legend(figure, axes)
    return figure


def _log_axis(axes: Axes, marks: np.ndarray) -> None:
    axes.set_xscale("log")
    axes.set_xticks(marks, [f"{mark:,g}" for mark in marks])
    axes.minorticks_off()


def _legend(figure: Figure, axes: Axes) -> None:
    """Below the axes, where it covers nothing."""
    handles, names = axes.get_legend_handles_labels()
    if handles:
        columns = 1 if len("".join(names)) > WIDE else len(names)
        names = [textwrap.fill(drawable(name), 1.4 * WIDE) for name in names]
        figure.legend(handles, names, loc="outside lower center", ncols=columns, handlelength=2.8)


def save_bars(path: Path, panels: dict[str, pd.DataFrame], **options: str) -> None:
    """Write the picture of `bars_figure`."""
    save(bars_figure(panels, **options), path)


def bars_figure(panels: dict[str, pd.DataFrame], *, title: str, note: str = "") -> Figure:
    """Picture of horizontal bars with their values, panels side by side.

    Args:
        panels: by what they show; a row of a table is a place on the y axis, named by the index,
            the first on top, and a column a series with its own colour.
        note: stands below the title.
    """
    same = all(table.index.equals(next(iter(panels.values())).index) for table in panels.values())
    across = len(panels) if same else min(len(panels), 2)  # else rows have names in each panel
    rows = -(-len(panels) // across)
    height = 0.5 + 0.21 * max(3, *(table.size for table in panels.values()))
    width = 1.4 + (2.5 if same else 3.0) * across
    figure = new_figure(max(width, 5.0), 0.5 + rows * height, title, note)
    grid = figure.subplots(rows, across, sharey=same, squeeze=False).ravel()
    for axes in grid[len(panels) :]:
        axes.remove()
    for axes, (name, table) in zip(grid, panels.items(), strict=False):
        _draw_bars(axes, table)
        axes.set_xlabel(shortened(name, NAME))
    if len(table.columns) > 1:
        _legend(figure, axes)
    return figure


def _draw_bars(axes: Axes, table: pd.DataFrame) -> None:
    places, height = np.arange(len(table)), 0.8 / len(table.columns)
    for i, column in enumerate(table):
        middle = places - 0.4 + (i + 0.5) * height
        colour = COLOURS[i % len(COLOURS)]
        bars = axes.barh(middle, table[column], height, label=column, color=colour, ec="white")
        axes.bar_label(bars, fmt="%.2f", padding=2, fontsize=7.5)
    axes.set_yticks(places, [shortened(str(name), NAME) for name in table.index])
    axes.set_ylim(max(len(table), 1) - 0.5, -0.5)
    axes.margins(x=0.16)  # room for the values
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def save_dots(
    path: Path, names: list[str], points: dict[str, list[float]], **options: object
) -> None:
    """Write the picture of `dots_figure`."""
    save(dots_figure(names, points, **options), path)


def dots_figure(
    names: list[str],
    points: dict[str, list[float]],
    *,
    title: str,
    x: str,
    note: str = "",
    intervals: dict[str, list[tuple[float, float]]] | None = None,
) -> Figure:
    """Picture of a few figures for each of many names, one line a name, the first on top.

    Args:
        points: named series of as many figures as there are names; NaN leaves a gap.
        intervals: of some of the series, the bounds of each figure; NaN leaves them out.
    """
    figure = new_figure(7.2, 1.3 + 0.3 * len(names), title, note)
    axes = figure.add_subplot(xlabel=x)
    lines = np.arange(len(names))
    apart = min(0.22, 0.66 / len(points))  # so that no mark hides another
    for i, (series, values) in enumerate(points.items()):
        places = lines + (i - (len(points) - 1) / 2) * apart
        colour = COLOURS[i % len(COLOURS)]
        if intervals and series in intervals:
            axes.hlines(places, *np.transpose(intervals[series]), color=colour, lw=1.4, alpha=0.7)
        axes.plot(values, places, MARKS[i % len(MARKS)], label=series, color=colour)
    axes.set_yticks(lines, [drawable(name) for name in names])
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    _legend(figure, axes)
    return figure
