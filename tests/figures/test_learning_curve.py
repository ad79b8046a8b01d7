"""The learning curve: means, and bands from the worst repeat to the best."""

from __future__ import annotations

import pandas as pd
from pictures import legend_of, line_named

from spam_gpt2.figures.learning_curve import learning_curve_figure
from spam_gpt2.figures.style import words_of

RUNS = pd.DataFrame(
    [(32, 1, 0.5, 0.8), (64, 1, 0.75, 0.875), (32, 2, 0.75, 0.8), (64, 2, 1.0, 0.875)],
    columns=["messages", "repeat", "gpt2", "baseline"],
)


def test_the_curve_is_the_mean_and_the_band_the_spread() -> None:
    figure = learning_curve_figure(RUNS, "gpt2-mini")
    [axes] = figure.axes
    assert legend_of(figure) == ["classifier", "baseline"]
    assert line_named(axes, "classifier").get_xydata().tolist() == [[32, 0.625], [64, 0.875]]
    assert line_named(axes, "baseline").get_xydata().tolist() == [[32, 0.8], [64, 0.875]]
    corners = {tuple(point) for point in axes.collections[0].get_paths()[0].vertices}
    assert corners == {(32, 0.5), (32, 0.75), (64, 0.75), (64, 1.0)}
    said = "gpt2-mini, mean of 2 repeats; bands from the worst to the best"
    assert words_of(figure, "subtitle") == said
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training messages", "accuracy")


def test_one_repeat_has_no_spread_to_speak_of() -> None:
    figure = learning_curve_figure(RUNS[RUNS["repeat"] == 1], "gpt2-mini")
    assert words_of(figure, "subtitle") == "gpt2-mini"
