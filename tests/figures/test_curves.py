"""ROC and precision-recall: models side by side, areas in the legend, chance and the threshold."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import legend_of, line_named, overlapping

from spam_gpt2.figures.curves import PRECISION_RECALL, ROC, Curve, Kind, Mark, threshold_figure
from spam_gpt2.figures.style import words_of

XS, YS = np.array([0.0, 0.25, 1.0]), np.array([0.0, 0.75, 1.0])
TWO = {"classifier": [Curve("spam", XS, YS, 0.9444)], "baseline": [Curve("spam", XS, YS / 2, 0.5)]}


def of_classes(n: int, length: int = 1) -> list[Curve]:
    """An average, and classes whose areas fall."""
    names = [f"class {k} " + "x" * length for k in range(n)]
    curves = [Curve(name, XS, YS, 0.9 - k / 100) for k, name in enumerate(names)]
    return [Curve("macro average", XS, YS, 0.75, is_average=True), *curves]


@pytest.mark.parametrize(
    ("kind", "area", "chance"),
    [(ROC, "AUC", "chance: AUC 0.5"), (PRECISION_RECALL, "average precision", "chance: a")],
)
def test_two_classes_share_one_pair_of_axes(kind: Kind, area: str, chance: str) -> None:
    mark = Mark("chosen threshold, 0.915", 0.25, 0.75)
    figure = threshold_figure(kind, TWO, chance=0.4, mark=mark, note="gpt2-mini")
    [axes] = figure.axes
    names = legend_of(figure)
    assert names[:3] == [f"classifier: {area} 0.944", f"baseline: {area} 0.500", mark.name]
    assert names[3].startswith(chance)
    assert line_named(axes, "baseline").get_ydata().tolist() == (YS / 2).tolist()
    star = line_named(axes, "chosen threshold")
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.25, 0.75)
    assert words_of(figure, "title") == f"{kind.title}: classifier and baseline (test)"
    assert (axes.get_xlabel(), axes.get_ylabel()) == (kind.x, kind.y)
    assert overlapping(figure) == []


def test_chance_is_the_diagonal_and_among_precisions_the_share_of_the_class() -> None:
    heights = {
        kind.title: line_named(
            threshold_figure(kind, TWO, chance=0.4).axes[0], "chance"
        ).get_ydata()
        for kind in (ROC, PRECISION_RECALL)
    }
    assert [*map(list, heights.values())] == [[0, 1], [0.4, 0.4]]


def test_precision_goes_in_steps_as_average_precision_sums_them() -> None:
    styles = [
        line_named(threshold_figure(kind, TWO).axes[0], "classifier").get_drawstyle()
        for kind in (ROC, PRECISION_RECALL)
    ]
    assert styles == ["default", "steps-pre"]


def test_a_wrong_area_is_never_rounded_to_one() -> None:
    curves = [Curve("spam", XS, YS, area) for area in (0.99999, 1.0)]
    figure = threshold_figure(ROC, {"classifier": curves[:1], "baseline": curves[1:]})
    assert legend_of(figure)[:2] == ["classifier: AUC 0.999", "baseline: AUC 1"]


def test_more_classes_have_a_curve_each_and_their_average_by_its_name() -> None:
    models = {"classifier": of_classes(3), "baseline": of_classes(3)[::-1]}
    figure = threshold_figure(ROC, models, note="gpt2-mini")
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("classifier", "baseline")
    assert words_of(figure, "subtitle") == "gpt2-mini, each class against the rest"
    assert legend_of(figure)[:5] == [
        "macro average: AUC 0.750", "class 2 x: AUC 0.880", "class 1 x: AUC 0.890",
        "class 0 x: AUC 0.900", "chance: AUC 0.5",
    ]  # fmt: skip
    for name in ("class 0", "class 1", "class 2"):
        assert line_named(left, name).get_color() == line_named(right, name).get_color()
    average = line_named(left, "macro average")
    assert average.get_linewidth() > line_named(left, "class 0").get_linewidth()


@pytest.mark.parametrize("kind", [ROC, PRECISION_RECALL])
def test_of_many_classes_the_five_of_least_area_have_a_name(kind: Kind) -> None:
    models = {"classifier": of_classes(60, 40), "baseline": of_classes(60, 40)}
    figure = threshold_figure(kind, models)
    left, _ = figure.axes
    assert len(left.lines) == 62  # all classes, the average, and chance
    names = legend_of(figure)[:8]
    assert [name.split(" x")[0] for name in names[1:6]] == [f"class {k}" for k in range(59, 54, -1)]
    assert names[6] == "55 other classes"
    assert overlapping(figure) == []
    widths = [axes.get_position().width for axes in figure.axes]
    assert min(widths) > 0.3  # long names do not squeeze the axes


def test_a_class_may_be_called_as_the_average_is() -> None:
    curves = [*of_classes(2), Curve("macro average", XS, YS, 0.1)]
    names = legend_of(threshold_figure(ROC, {"classifier": curves}))
    assert names[:2] == ["macro average: AUC 0.750", "macro average: AUC 0.100"]
