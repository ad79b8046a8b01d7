"""Confusion matrices: true classes in rows, a number in every cell, titles that say what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from pictures import overlapping
from PIL import Image

from spam_gpt2.figures.confusion import (
    confusion_figure,
    confusion_title,
    most_confused,
    save_confusion_matrix,
)
from spam_gpt2.figures.style import words_of

COUNTS = np.array([[90, 10], [5, 1095]])
LONG = [
    "a long label of the first class",
    "anotherverylongwordwithoutblanks at all",
    "science and technology, and more",
    "中文",
    "$a_$",
]
both_kinds = pytest.mark.parametrize("normalized", [False, True])


def drawn(counts: np.ndarray, labels: list[str], *, normalized: bool = False) -> Figure:
    title = confusion_title("classifier", "test", normalized=normalized)
    return confusion_figure(counts, labels, title, normalized=normalized, note="gpt2-mini")


def cells(figure: Figure) -> dict[tuple[int, int], str]:
    """What is written, by row from the top and column from the left."""
    [axes] = figure.axes
    top_first = axes.yaxis.get_inverted()
    assert top_first
    found = {}
    for text in axes.texts:
        x, y = text.get_position()
        found[int(y), int(x)] = text.get_text()
    return found


def test_rows_are_true_classes_and_columns_predicted_ones() -> None:
    figure = drawn(COUNTS, ["ham", "spam"])
    [axes] = figure.axes
    assert cells(figure) == {(0, 0): "90", (0, 1): "10", (1, 0): "5", (1, 1): "1,095"}
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true class", "predicted class")
    assert [t.get_text() for t in axes.get_yticklabels()] == ["ham", "spam"]
    assert [t.get_text() for t in axes.get_xticklabels()] == ["ham", "spam"]
    assert axes.images[0].get_array().tolist() == COUNTS.tolist()


def test_a_normalised_matrix_holds_per_cent_of_each_row_and_says_of_how_many() -> None:
    figure = drawn(COUNTS, ["ham", "spam"], normalized=True)
    expected = {(0, 0): "90.0", (0, 1): "10.0", (1, 0): "0.5", (1, 1): "99.5"}
    assert cells(figure) == expected
    rows = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert rows == ["ham (of 100)", "spam (of 1,100)"]


def test_titles_tell_counts_from_shares_and_name_model_split_and_weights() -> None:
    counts, shares = (drawn(COUNTS, ["ham", "spam"], normalized=n) for n in (False, True))
    assert words_of(counts, "title") == "Confusion matrix of the classifier (test, counts)"
    assert words_of(counts, "subtitle") == "gpt2-mini"
    assert words_of(shares, "title") == "Confusion matrix of the classifier (test, normalised)"
    assert words_of(shares, "subtitle") == "gpt2-mini, per cent of each row"


def test_a_dark_cell_has_white_numbers_and_a_light_one_dark_ones() -> None:
    texts = {t.get_text(): t.get_color() for t in drawn(COUNTS, ["a", "b"]).axes[0].texts}
    assert texts["1,095"] == "white"
    assert texts["5"] != "white"


@both_kinds
@pytest.mark.parametrize("n_classes", [2, 5, 6, 9, 12])
def test_every_cell_has_its_number_even_a_zero(n_classes: int, normalized: bool) -> None:
    counts = np.diag(np.arange(n_classes))  # the first class has no message
    figure = drawn(counts, [f"class {k}" for k in range(n_classes)], normalized=normalized)
    assert len(cells(figure)) == n_classes**2
    assert cells(figure)[0, 0] == ("0.0" if normalized else "0")


@both_kinds
@pytest.mark.parametrize("n_classes", [2, 5, 8, 20, 60])
def test_no_text_covers_another_however_long(n_classes: int, normalized: bool) -> None:
    labels = [f"{LONG[k % 5]} {k}" for k in range(n_classes)]
    counts = np.full((n_classes, n_classes), 8888 if n_classes < 13 else 88)
    assert overlapping(drawn(counts, labels, normalized=normalized)) == []


def test_of_many_classes_the_most_confused_are_shown_and_empty_cells_left_so() -> None:
    counts = np.eye(120, dtype=int) * 9
    counts[100, 3] = 5
    figure = drawn(counts, [f"class {k}" for k in range(120)])
    assert words_of(figure, "subtitle") == "gpt2-mini, the 50 most confused of 120 classes"
    shown = [t.get_text() for t in figure.axes[0].get_yticklabels()]
    assert len(shown) == 50
    found = cells(figure)
    assert len(found) == 51
    assert found[shown.index("class 100"), shown.index("class 3")] == "5"
    assert {3, 100} <= {*most_confused(counts, 50)}


def test_a_small_share_among_many_cells_is_not_called_zero() -> None:
    counts = np.eye(20, dtype=int) * 300
    counts[0, 1] = 1
    found = cells(drawn(counts, [f"class {k}" for k in range(20)], normalized=True))
    assert found[0, 1] == "<1"
    assert found[1, 1] == "100"


def test_other_rows_and_columns_have_their_names() -> None:
    figure = confusion_figure(
        COUNTS, ["right", "wrong"], "t", normalized=False, rows="classifier", columns="baseline"
    )
    [axes] = figure.axes
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("classifier", "baseline")


@both_kinds
def test_nothing_at_all_is_a_picture(normalized: bool) -> None:
    assert cells(drawn(np.zeros((2, 2), dtype=int), ["a", "b"], normalized=normalized))[0, 0]


def test_the_file_is_a_png_of_200_dpi(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/confusion.png"
    save_confusion_matrix(path, COUNTS, ["ham", "spam"], "title", normalized=False)
    with Image.open(path) as picture:
        picture.load()
        assert picture.format == "PNG"
        assert picture.info["dpi"] == pytest.approx((200, 200), abs=0.1)
        assert 600 < picture.width < 1400
    assert path.stat().st_size < 100_000
    assert [file.name for file in path.parent.iterdir()] == ["confusion.png"]
