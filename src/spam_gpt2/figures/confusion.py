"""Pictures of confusion matrices."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.ticker import FixedLocator

from spam_gpt2.figures.style import INK, new_figure, save, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Cells:
    """How the cells of a matrix are drawn, all sizes in inches or points."""

    side: float
    number: float
    label: float
    is_wide: bool = False  # labels stand below in several lines, not upright
    has_zeros: bool = True


CELLS = {6: Cells(0.95, 12, 9.5, is_wide=True), 12: Cells(0.58, 8.5, 8.5)}  # up to so many classes
MANY_CELLS = Cells(0.36, 7, 8, has_zeros=False)
SHOWN = 50  # classes; more than that nobody can read, and each takes as long again
NAME = 30  # characters of a label
LINE = 13  # of them on one line below a wide cell


def confusion_title(model: str, split: str, *, normalized: bool) -> str:
    """As `dvc plots` names it, too."""
    kind = "normalised" if normalized else "counts"
    return f"Confusion matrix of the {model} ({split}, {kind})"


def save_confusion_matrix(
    path: Path, counts: np.ndarray, labels: list[str], title: str, **options: object
) -> None:
    """Write the picture of `confusion_figure`."""
    save(confusion_figure(counts, labels, title, **options), path)


def confusion_figure(
    counts: np.ndarray,
    labels: list[str],
    title: str,
    *,
    normalized: bool,
    rows: str = "true class",
    columns: str = "predicted class",
    note: str = "",
) -> Figure:
    """Picture of a confusion matrix (K, K), in counts or as per cent of each row.

    Rows are the first axis of `counts`, from top to bottom. Of more than 50 classes it shows the 50
    that are most confused, and says so.

    Args:
        note: stands below the title.
    """
    totals = counts.sum(1, keepdims=True)
    shares = np.divide(counts, totals, where=totals > 0, out=np.zeros(counts.shape))
    values = 100 * shares if normalized else counts
    notes = ["per cent of each row"] if normalized else []
    if len(labels) > SHOWN:
        chosen = most_confused(counts, SHOWN)
        values, totals = values[np.ix_(chosen, chosen)], totals[chosen]
        notes.insert(0, f"the {SHOWN} most confused of {len(labels)} classes")
        labels = [labels[k] for k in chosen]
    cells = next((cells for n, cells in CELLS.items() if len(labels) <= n), MANY_CELLS)
    side = cells.side * len(labels)
    figure = new_figure(
        max(side + 2.4, 5.0), side + (1.0 if cells.is_wide else 2.4), title,
        ", ".join(filter(None, [note, *notes])),
    )  # fmt: skip
    axes = figure.add_subplot(anchor="NW")
    most = 100 if normalized else max(values.max(), 1)
    axes.imshow(values, cmap="Blues", vmin=0, vmax=most)
    ends = [f" (of {total:,})" if normalized else "" for total in totals[:, 0]]
    _name_cells(axes, [shortened(label, NAME) for label in labels], ends, cells)
    for (i, k), value in np.ndenumerate(values):
        text = _per_cent(value, cells) if normalized else f"{value:,}"
        colour = "white" if value > 0.55 * most else INK
        if value or cells.has_zeros:
            axes.text(k, i, text, ha="center", va="center", fontsize=cells.number, color=colour)
    axes.set(xlabel=columns, ylabel=rows)
    return figure


def _per_cent(value: float, cells: Cells) -> str:
    """With a decimal where there is room, and no 0 that is none."""
    if cells.has_zeros:
        return f"{value:.1f}"
    return "<1" if value < 1 else f"{value:.0f}"


def most_confused(counts: np.ndarray, n: int) -> np.ndarray:
    """The n classes of most mistakes, as true or as predicted class, in their order."""
    mistakes = counts.sum(0) + counts.sum(1) - 2 * counts.diagonal()
    return np.sort(np.argsort(-mistakes, kind="stable")[:n])


def _name_cells(axes: Axes, names: list[str], ends: list[str], cells: Cells) -> None:
    """Labels under columns and, with their ends, beside rows; lines between the cells."""
    places = np.arange(len(names))
    rows = [name + end for name, end in zip(names, ends, strict=True)]
    if cells.is_wide:
        axes.set_xticks(places, [textwrap.fill(name, LINE) for name in names])
        axes.set_yticks(places, [textwrap.fill(name, 2 * LINE) for name in rows])
    else:
        axes.set_xticks(places, names, rotation=90)
        axes.set_yticks(places, rows)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(FixedLocator(places[1:] - 0.5))
    axes.grid(visible=False)
    axes.grid(which="minor", color="white" if cells.has_zeros else "#c3ccd6", linewidth=0.8)
    axes.set_axisbelow(False)
    axes.tick_params(which="both", length=0, labelsize=cells.label)
    axes.spines[:].set_visible(not cells.has_zeros)
