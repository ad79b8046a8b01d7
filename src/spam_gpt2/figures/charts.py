"""Pictures of curves, bars and dots."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import MaxNLocator

from spam_gpt2.figures.style import save

if TYPE_CHECKING:
    import pandas as pd

Curve = tuple[np.ndarray, np.ndarray]  # x and y


def save_curves(
    path: Path,
    curves: dict[str, Curve],
    *,
    title: str,
    x: str,
    y: str,
    limits: tuple[float, float] | None = None,
    log_x: bool = False,
) -> None:
    """Picture of named curves in one pair of axes.

    Args:
        x, y: what the axes show.
        limits: of the y axis; null lets the curves decide.
        log_x: the x axis is logarithmic, with a mark at each x of the curves.
    """
    figure, axes = plt.subplots(figsize=(5.2, 3.6))
    for name, (xs, ys) in curves.items():
        axes.plot(xs, ys, label=name, marker="o" if len(xs) < 20 else None, markersize=3.5)
    axes.set(title=title, xlabel=x, ylabel=y)
    if all(np.issubdtype(xs.dtype, np.integer) for xs, _ in curves.values()):
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # there is no epoch 1.5
    if limits:
        axes.set_ylim(limits)
    if log_x:
        marks = np.unique(np.concatenate([xs for xs, _ in curves.values()]))
        axes.set_xscale("log")
        axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
        axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    save(figure, path)


def save_bars(path: Path, panels: dict[str, pd.DataFrame], *, title: str) -> None:
    """Picture of horizontal bars, panels side by side.

    Args:
        panels: by what they show; a row of a table is a place on the y axis, named by the index,
            the first on top, and a column a series with its own colour.
    """
    tallest = max(table.size for table in panels.values())
    size = (1.5 + 3.2 * len(panels), 1.4 + 0.2 * tallest)
    same = all(table.index.equals(next(iter(panels.values())).index) for table in panels.values())
    figure, row = plt.subplots(1, len(panels), figsize=size, sharey=same, squeeze=False)
    for axes, (name, table) in zip(row[0], panels.items(), strict=True):
        places, height = np.arange(len(table)), 0.8 / len(table.columns)
        for i, column in enumerate(table):
            middle = places - 0.4 + (i + 0.5) * height
            axes.barh(middle, table[column], height, label=column)
        axes.set_yticks(places, table.index)
        axes.set(xlabel=name, ylim=(max(len(table), 1) - 0.5, -0.5))
        axes.grid(alpha=0.3, axis="x")
    if len(table.columns) > 1:
        axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle(title)
    save(figure, path)


def save_dots(
    path: Path, names: list[str], points: dict[str, list[float]], *, title: str, x: str
) -> None:
    """Picture of a few figures for each of many names, one line a name, the first on top.

    Args:
        points: named series of as many figures as there are names; NaN leaves a gap.
    """
    figure, axes = plt.subplots(figsize=(7.2, 1.4 + 0.26 * len(names)))
    lines = np.arange(len(names))[::-1]
    for (series, values), marker in zip(points.items(), "oD^s", strict=False):
        axes.plot(values, lines, marker, label=series, markersize=5)
    axes.set_yticks(lines, names)
    axes.set(title=title, xlabel=x)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="best")
    save(figure, path)
