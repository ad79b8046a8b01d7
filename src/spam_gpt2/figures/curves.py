"""Pictures of what a threshold may be: ROC, and precision and recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from spam_gpt2.figures.style import INK, QUIET, line_style, new_figure, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMED = 5  # classes that have a colour of their own
NAME = 20  # characters of a class


@dataclass(frozen=True)
class Curve:
    """A curve over all thresholds of one class against the rest, or the average of all classes."""

    name: str
    xs: np.ndarray
    ys: np.ndarray
    area: float
    is_average: bool = False


@dataclass(frozen=True)
class Kind:
    """What a picture shows; `has_steps` where ys[i] holds from xs[i - 1] to xs[i]."""

    title: str
    x: str
    y: str
    area: str
    has_steps: bool


ROC = Kind("ROC curve", "false-positive rate", "true-positive rate", "AUC", has_steps=False)
PRECISION_RECALL = Kind(
    "Precision and recall", "recall", "precision", "average precision", has_steps=True
)


@dataclass(frozen=True)
class Mark:
    """A point on the first curve, and what it is."""

    name: str
    x: float
    y: float


def threshold_figure(
    kind: Kind,
    models: dict[str, list[Curve]],
    *,
    split: str = "test",
    chance: float = 0.0,
    mark: Mark | None = None,
    note: str = "",
) -> Figure:
    """Picture of the curves of one or more models.

    Of two classes each model has one curve, and all are in one pair of axes. Of more, each model
    has axes of its own, with a curve a class and their average.

    Args:
        models: by name, the curves.
        chance: share of the positive class, which is the precision of a guess.
        mark: the chosen threshold, a point of the first model's curve.
        note: stands below the title.
    """
    of_one = all(len(curves) == 1 for curves in models.values())
    panels = 1 if of_one else len(models)
    named = 1 if of_one else min(max(map(len, models.values())), NAMED + 2)
    lines = (len(models) + 1 if of_one else named + 1) + bool(mark)
    if not of_one:
        note = ", ".join(filter(None, [note, "each class against the rest"]))
    order = _by_area(next(iter(models.values())))
    title = f"{kind.title}: {' and '.join(models)} ({split})"
    figure = new_figure(max(0.6 + 4.2 * panels, 5.2), 3.9 + 0.19 * lines, title, note)
    grid = figure.subplots(1, panels, squeeze=False)[0]
    for i, (model, curves) in enumerate(models.items()):
        axes = grid[0 if of_one else i]
        if of_one:
            label = f"{model}: {kind.area} {_area(curves[0])}"
            _draw(axes, kind, curves[0], label=label, **line_style(i))
        else:
            axes.set_title(model if panels > 1 else "", fontsize=10)
            _draw_classes(axes, kind, curves, order)
    if mark:
        style = {"marker": "*", "markersize": 13, "markeredgecolor": "white", "color": INK}
        grid[0].plot([mark.x], [mark.y], linestyle="", label=mark.name, zorder=5, **style)
    for axes in grid:
        _finish(axes, kind, chance)
    return figure


def _draw(axes: Axes, kind: Kind, curve: Curve, **style: object) -> None:
    axes.plot(curve.xs, curve.ys, drawstyle="steps-pre" if kind.has_steps else "default", **style)


def _by_area(curves: list[Curve]) -> list[str]:
    """The classes from the least area on."""
    return [c.name for c in sorted(curves, key=lambda c: c.area) if not c.is_average]


def _draw_classes(axes: Axes, kind: Kind, curves: list[Curve], order: list[str]) -> None:
    """The average thick, the first classes in colours, all others in grey."""
    for curve in curves:
        if curve.is_average:
            label = f"{curve.name}: {kind.area} {_area(curve)}"
            _draw(axes, kind, curve, label=label, color=INK, linewidth=2.4, zorder=3)
    classes = [curve for curve in curves if not curve.is_average]
    for i, curve in enumerate(sorted(classes, key=lambda c: order.index(c.name))):
        if i < NAMED:
            label = f"{shortened(curve.name, NAME)}: {kind.area} {_area(curve)}"
            style = {**line_style(i), "linewidth": 1.2}
        else:
            label = f"{len(order) - NAMED} other classes" if i == NAMED else None
            style = {"color": "#c9cfd7", "linewidth": 0.6, "zorder": 1.5}
        _draw(axes, kind, curve, label=label, **style)


def _area(curve: Curve) -> str:
    """Three decimals, but no 1.000 that is none."""
    return "1" if curve.area == 1 else f"{min(curve.area, 0.999):.3f}"


def _finish(axes: Axes, kind: Kind, chance: float) -> None:
    heights = [chance, chance] if kind.has_steps else [0, 1]
    label = f"chance: {kind.area} {chance if kind.has_steps else 0.5:.2g}"
    axes.plot([0, 1], heights, color=QUIET, linestyle=":", linewidth=1.2, label=label, zorder=1)
    axes.set(xlabel=kind.x, ylabel=kind.y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.03))
    axes.legend(
        loc="upper left", bbox_to_anchor=(-0.02, -0.15), borderaxespad=0, fontsize=8.5,
        handlelength=2.8,
    )  # fmt: skip
