"""What a picture says, read from its artists."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D


def legend_of(figure: Figure) -> list[str]:
    """All names of all legends, in order."""
    legends = [*figure.legends, *(axes.get_legend() for axes in figure.axes)]
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def line_named(axes: Axes, start: str) -> Line2D:
    """The one line whose name in the legend starts so."""
    [line] = [line for line in axes.lines if str(line.get_label()).startswith(start)]
    return line


def overlapping(figure: Figure) -> list[str]:
    """Pairs of texts of a picture, as it is drawn, that cover each other."""
    figure.draw_without_rendering()
    texts = [*figure.texts]
    for axes in figure.axes:
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high]
        texts += axes.get_legend().get_texts() if axes.get_legend() else []
    texts += [text for legend in figure.legends for text in legend.get_texts()]
    texts = [text for text in texts if text.get_text() and text.get_visible()]
    boxes = np.array([text.get_window_extent().padded(-0.5).extents for text in texts])
    low, high = boxes[:, None, :2], boxes[:, None, 2:]  # corners, (N, 1, 2)
    cover = np.all((low < boxes[None, :, 2:]) & (boxes[None, :, :2] < high), axis=2)
    return [
        f"{texts[i].get_text()!r} and {texts[k].get_text()!r}"
        for i, k in np.argwhere(np.tril(cover, -1))
    ]
