"""Lines, bars and dots show what they are given, under their names."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from pictures import legend_of, line_named, overlapping

from spam_gpt2.figures.charts import bars_figure, curves_figure, dots_figure
from spam_gpt2.figures.style import words_of

X = np.linspace(0, 1, 50)
WORDS = {"title": "Loss", "x": "step", "y": "loss"}
BARS = pd.DataFrame({"classifier": [0.9, 0.1], "baseline": [0.5, 0.6]}, ["as is", "$y_$"])


@pytest.fixture(autouse=True)
def no_warning() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_curves_have_their_values_names_and_words() -> None:
    figure = curves_figure({"train": (X, X**2), "validation": (X, 1 - X)}, **WORDS, note="mini")
    [axes] = figure.axes
    assert legend_of(figure) == ["train", "validation"]
    assert line_named(axes, "train").get_ydata().tolist() == (X**2).tolist()
    assert line_named(axes, "validation").get_ydata().tolist() == (1 - X).tolist()
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("step", "loss")
    assert (words_of(figure, "title"), words_of(figure, "subtitle")) == ("Loss", "mini")
    assert overlapping(figure) == []


def test_lines_differ_in_colour_dashes_and_marks() -> None:
    """So that they are told apart in grey, too."""
    few = np.arange(3)
    lines = curves_figure({n: (few, few) for n in "abcdefg"}, **WORDS).axes[0].lines
    for what in ("get_color", "get_marker"):
        assert len({getattr(line, what)() for line in lines}) == 7
    assert len({str(line._dash_pattern) for line in lines}) == 7


def test_the_first_two_colours_differ_in_grey() -> None:
    """Relative luminance as WCAG 2 defines it; each is also dark enough to read on white."""
    from matplotlib.colors import to_rgb

    from spam_gpt2.figures.style import COLOURS

    def luminance(colour: str) -> float:
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)
        ]
        return float(np.dot([0.2126, 0.7152, 0.0722], linear))

    first, second = map(luminance, COLOURS[:2])
    assert (second + 0.05) / (first + 0.05) > 2
    assert all(1.05 / (luminance(colour) + 0.05) >= 3 for colour in COLOURS[:3])


def test_a_band_reaches_from_its_lower_to_its_upper_bound() -> None:
    xs = np.array([10, 100])
    bands = {"classifier": (np.array([0.5, 0.7]), np.array([0.6, 0.9]))}
    curves = {"classifier": (xs, np.array([0.55, 0.8])), "baseline": (xs, np.array([0.4, 0.4]))}
    [axes] = curves_figure(curves, **WORDS, bands=bands, log_x=True).axes
    [band] = axes.collections
    corners = {tuple(point) for point in band.get_paths()[0].vertices.round(9)}
    assert {(10, 0.5), (10, 0.6), (100, 0.7), (100, 0.9)} == corners
    assert axes.get_xscale() == "log"
    assert [t.get_text() for t in axes.get_xticklabels()] == ["10", "100"]


def test_few_points_have_marks_and_whole_numbers_below() -> None:
    """One point, after a single epoch, would not be seen without."""
    epochs = np.arange(1, 4)
    [axes] = curves_figure({"train": (epochs, epochs / 3)}, **WORDS).axes
    assert axes.lines[0].get_marker() not in ("None", None, "")
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    [axes] = curves_figure({"train": (X, X)}, **WORDS).axes
    assert axes.lines[0].get_marker() == "None"


def test_bars_are_as_long_as_their_values_and_the_first_row_is_on_top() -> None:
    figure = bars_figure({"accuracy": BARS, "recall": BARS / 2}, title="Another way")
    accuracy, recall = figure.axes
    assert accuracy.yaxis.get_inverted()
    assert [t.get_text() for t in accuracy.get_yticklabels()] == ["as is", "$y_$"]
    series = [[bar.get_width() for bar in bars] for bars in accuracy.containers]
    assert series == [[0.9, 0.1], [0.5, 0.6]]
    assert [t.get_text() for t in accuracy.texts] == ["0.90", "0.10", "0.50", "0.60"]
    assert [t.get_text() for t in recall.texts] == ["0.45", "0.05", "0.25", "0.30"]
    assert (accuracy.get_xlabel(), recall.get_xlabel()) == ("accuracy", "recall")
    assert legend_of(figure) == ["classifier", "baseline"]
    assert overlapping(figure) == []


def test_panels_of_other_rows_go_into_two_columns_and_names_are_cut() -> None:
    rows = [f"a token of {i} letters and more than that" for i in range(10)]
    table = pd.DataFrame({"score": np.linspace(3, 1, 10)}, rows)
    panels = {f"for a class of a very long name {i}": table.iloc[i:] for i in range(5)}
    figure = bars_figure(panels, title="Tokens")
    assert len(figure.axes) == 5
    assert legend_of(figure) == []
    assert overlapping(figure) == []


def test_bars_of_nothing_are_a_picture_all_the_same() -> None:
    """A classifier without mistakes has no tokens to show."""
    assert bars_figure({"ham": pd.DataFrame({"score": []})}, title="Tokens").axes


def test_dots_have_intervals_and_the_first_name_is_on_top() -> None:
    points = {"test": [95.0, 80.0], "published": [96.0, math.nan]}
    intervals = {"test": [(92.0, 97.0), (math.nan, math.nan)]}
    words = {"title": "Experiments", "x": "per cent", "note": "lines are intervals"}
    figure = dots_figure(["first", "second"], points, intervals=intervals, **words)
    [axes] = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["first", "second"]
    assert axes.yaxis.get_inverted()
    test = line_named(axes, "test")
    assert test.get_xdata().tolist() == [95.0, 80.0]
    [lines] = axes.collections
    (low, y), (high, _) = lines.get_segments()[0]
    assert (low, high) == (92.0, 97.0)
    assert y == test.get_ydata()[0]
    assert line_named(axes, "published").get_ydata()[0] != y  # no mark hides another
    assert words_of(figure, "subtitle") == "lines are intervals"
    assert overlapping(figure) == []


@pytest.mark.parametrize(
    "label", ["$a_$", r"$\frac{$", "a$ and b$", "100%", "50 % <off>", "中文 😀"]
)
def test_a_label_is_text_and_no_formula(label: str) -> None:
    figure = curves_figure({"test": (X, X)}, title=label, x=label, y="y")
    figure.draw_without_rendering()  # a glyph that the font lacks would be warned of
    assert words_of(figure, "title").isprintable()
