"""The picture of folds shows every fold, the mean and its interval, on the right side."""

from __future__ import annotations

import numpy as np
import pytest

from spam_gpt2.figures.folds import folds_figure
from spam_gpt2.figures.style import words_of

SPREAD = {
    "gpt2": {"recall": ([0.9, 0.8, 1.0], [0.7, 1.1]), "false-positive rate": ([0, 0.1], [0, 0.2])},
    "baseline": {"recall": ([0.7, 0.8], [0.6, 0.9]), "false-positive rate": ([0, 0.3], [0, 0.4])},
}


def test_every_fold_and_the_mean_are_drawn() -> None:
    figure = folds_figure(SPREAD, ["recall"], ["false-positive rate"], note="gpt2-mini, 3 folds")
    rising, falling = figure.axes
    assert words_of(figure, "subtitle") == "gpt2-mini, 3 folds"
    assert [axes.get_xlabel() for axes in figure.axes] == ["higher is better", "lower is better"]
    assert [t.get_text() for t in rising.get_yticklabels()] == ["recall"]
    drawn = [list(line.get_xdata()) for line in rising.lines]
    assert drawn == [[0.9, 0.8, 1.0], [pytest.approx(0.9)], [0.7, 0.8], [0.75]]
    intervals = [np.array(lines.get_segments()[0])[:, 0] for lines in falling.collections]
    assert np.allclose(intervals, [[0, 0.2], [0, 0.4]])
    [legend] = figure.legends
    names = [text.get_text().split(":")[0] for text in legend.get_texts()]
    assert names == ["classifier", "baseline"]


def test_more_than_two_classes_have_no_second_panel() -> None:
    figure = folds_figure(SPREAD, ["recall"], [], note="")
    assert len(figure.axes) == 1
