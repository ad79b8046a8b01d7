"""Picture of the folds: each as a small mark, their mean with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from spam_gpt2.figures.style import COLOURS, MARKS, MODELS, drawable, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# By model and figure: the value of each fold, and the mean's lower and upper bound.
Spread = Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]]


def folds_figure(
    spread: Spread, rising: Sequence[str], falling: Sequence[str], *, note: str
) -> Figure:
    """Picture of shares by fold, classifier and baseline below each other.

    Args:
        spread: by the models' names in files, then by what the figure is called.
        rising, falling: figures whose best value is 1, and those whose best value is 0; the latter
            have a scale of their own.
    """
    panels = [panel for panel in (rising, falling) if panel]
    sizes = [len(panel) for panel in panels]
    height = 0.6 + 0.5 * len(panels) + 0.4 * sum(sizes)
    figure = new_figure(6.4, height, "Cross-validation: every fold, and the mean", note)
    grid = figure.subplots(len(panels), 1, squeeze=False, height_ratios=sizes).ravel()
    for axes, names in zip(grid, panels, strict=True):
        _draw(axes, spread, names)
        axes.set_xlabel(f"{'higher' if names is rising else 'lower'} is better")
    handles, labels = grid[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _draw(axes: Axes, spread: Spread, names: Sequence[str]) -> None:
    for i, (model, figures) in enumerate(spread.items()):
        for line, name in enumerate(names):
            values, bounds = figures[name]
            place, colour = line + 0.34 * (i - (len(spread) - 1) / 2), COLOURS[i]
            axes.plot(values, [place] * len(values), "|", color=colour, alpha=0.55, markersize=7)
            axes.hlines(place, *bounds, color=colour, lw=2.2)
            label = f"{MODELS[model]}: mean, its interval and the folds" if line == 0 else None
            mean = sum(values) / len(values)
            axes.plot([mean], [place], MARKS[i], color=colour, label=label, markersize=6)
    axes.set_yticks(range(len(names)), [drawable(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
