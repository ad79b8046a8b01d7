"""Pictures are PNG files that show what they are given, and come out the same each time."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from matplotlib import pyplot as plt
from PIL import Image

from spam_gpt2.figures.charts import save_bars, save_curves
from spam_gpt2.figures.confusion import save_confusion_matrix

COUNTS = {
    2: np.array([[90, 10], [5, 95]]),
    3: np.array([[7, 2, 1], [0, 10, 0], [3, 3, 4]]),
    5: np.diag([1, 22, 333, 4444, 55555]),
}
LABELS = ["ham", "spam", "news", "offer", "none of these"]
X = np.linspace(0, 1, 50)
both_kinds = pytest.mark.parametrize("normalized", [False, True])


@pytest.fixture(autouse=True)
def no_warning_and_no_figure_left() -> Iterator[None]:
    """A warning is an error, and a figure that is not closed is a leak."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    assert plt.get_fignums() == []


def pixels(path: Path) -> np.ndarray:
    """A picture (height, width, 3) after a check that it is a whole PNG."""
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGB"))


def confusion_pixels(
    path: Path, counts: np.ndarray, *, normalized: bool, labels: list[str] | None = None
) -> np.ndarray:
    names = labels or LABELS[: len(counts)]
    save_confusion_matrix(path, counts, names, "title", normalized=normalized)
    return pixels(path)


def shade(share: float) -> np.ndarray:
    """The colour of a share of the largest value, as matplotlib's blues have it."""
    return np.array(colors.to_rgb(plt.get_cmap("Blues")(share))) * 255


def shows(picture: np.ndarray, colour: np.ndarray) -> bool:
    """Is there an area of this colour, of more than a per cent of the picture?"""
    near = np.abs(picture - colour).max(2) <= 2
    return bool(near.mean() > 0.01)


@both_kinds
@pytest.mark.parametrize("n_classes", COUNTS)
def test_a_confusion_matrix_is_a_png_of_a_sensible_size(
    tmp_path: Path, n_classes: int, normalized: bool
) -> None:
    path = tmp_path / "new/folder/confusion.png"
    picture = confusion_pixels(path, COUNTS[n_classes], normalized=normalized)
    height, width, _ = picture.shape
    assert 300 < height < 1000
    assert 300 < width < 1000
    assert picture.std() > 20  # not blank
    assert path.stat().st_size < 100_000
    assert [file.name for file in path.parent.iterdir()] == ["confusion.png"]


def test_more_classes_make_a_larger_picture(tmp_path: Path) -> None:
    two, three, five = (
        confusion_pixels(tmp_path / "confusion.png", counts, normalized=False).shape
        for counts in COUNTS.values()
    )
    assert two[0] < three[0] < five[0]
    assert two[1] < three[1] < five[1]


def test_counts_and_shares_of_each_true_class_have_their_shades(tmp_path: Path) -> None:
    """Of 100 messages of one class half are right, of 10 of the other all are."""
    counts = np.array([[50, 50], [0, 10]])
    absolute = confusion_pixels(tmp_path / "counts.png", counts, normalized=False)
    assert shows(absolute, shade(1.0))
    assert shows(absolute, shade(10 / 50))
    assert not shows(absolute, shade(0.5))
    shares = confusion_pixels(tmp_path / "shares.png", counts, normalized=True)
    assert shows(shares, shade(1.0))
    assert shows(shares, shade(0.5))
    assert not shows(shares, shade(10 / 50))


def test_rows_are_the_true_classes_from_top_to_bottom(tmp_path: Path) -> None:
    counts = np.array([[0, 10], [0, 0]])  # a ham that is taken for spam: above, right
    picture = confusion_pixels(tmp_path / "confusion.png", counts, normalized=False)
    rows, columns = np.nonzero(np.abs(picture - shade(1.0)).max(2) <= 2)
    assert np.median(rows) < picture.shape[0] / 2
    assert np.median(columns) > picture.shape[1] / 2


MATRIX_WORDS = {"title": "t", "labels": ["ham", "spam"], "rows": "true", "columns": "predicted"}
CURVE_WORDS = {"title": "t", "x": "step", "y": "loss", "name": "train"}


def save_matrix_of_words(path: Path, title: str, labels: list[str], **axes: str) -> None:
    save_confusion_matrix(path, COUNTS[2], labels, title, normalized=False, **axes)


def save_curve_of_words(path: Path, name: str, **words: str) -> None:
    save_curves(path, {name: (X, X)}, **words)


@pytest.mark.parametrize(
    ("save", "words", "changed"),
    [
        *((save_matrix_of_words, MATRIX_WORDS, word) for word in MATRIX_WORDS),
        *((save_curve_of_words, CURVE_WORDS, word) for word in CURVE_WORDS),
    ],
)
def test_each_word_shows(tmp_path: Path, save: Callable, words: dict, changed: str) -> None:
    save(tmp_path / "words", **words)
    value = ["ham", "offer"] if changed == "labels" else "other"
    save(tmp_path / "changed", **words | {changed: value})
    assert (tmp_path / "words").read_bytes() != (tmp_path / "changed").read_bytes()


@both_kinds
def test_a_class_without_messages_is_a_row_of_zeros(tmp_path: Path, normalized: bool) -> None:
    counts = np.array([[8, 2, 0], [0, 0, 0], [1, 0, 9]])
    picture = confusion_pixels(tmp_path / "confusion.png", counts, normalized=normalized)
    assert shows(picture, shade(0.0))
    nothing = np.zeros((2, 2), dtype=int)
    assert confusion_pixels(tmp_path / "confusion.png", nothing, normalized=normalized).size


@pytest.mark.parametrize("label", ["$a_$", r"$\frac{$", "a$ and b$", "100%", "_spam", "50 % <off>"])
def test_a_label_is_text_and_no_formula(tmp_path: Path, label: str) -> None:
    labels = ["ham", label]
    confusion_pixels(tmp_path / "confusion.png", COUNTS[2], normalized=True, labels=labels)
    save_curves(tmp_path / "curves.png", {"test": (X, X)}, title=label, x=label, y=label)
    assert pixels(tmp_path / "curves.png").size


def curve_pixels(path: Path, curves: dict, **options: object) -> np.ndarray:
    save_curves(path, curves, title="title", x="step", y="loss", **options)
    return pixels(path)


FIRST, SECOND = (np.array(colors.to_rgb(f"C{i}")) * 255 for i in (0, 1))


def drawn_at(picture: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns where a line of this colour is."""
    return np.nonzero(np.abs(picture - colour).max(2) <= 2)


def test_each_curve_has_its_colour(tmp_path: Path) -> None:
    path = tmp_path / "new/folder/curves.png"
    one = curve_pixels(path, {"train": (X, X)})
    assert drawn_at(one, FIRST)[0].size > 100
    assert drawn_at(one, SECOND)[0].size == 0
    two = curve_pixels(path, {"train": (X, X), "validation": (X, 1 - X)})
    assert drawn_at(two, SECOND)[0].size > 100
    assert 300 < two.shape[0] < two.shape[1] < 1000
    assert path.stat().st_size < 100_000


def test_a_rising_curve_rises(tmp_path: Path) -> None:
    rows, columns = drawn_at(curve_pixels(tmp_path / "curves.png", {"train": (X, X**2)}), FIRST)
    start, end = (np.mean(rows[columns == at]) for at in (columns.min(), columns.max()))
    assert end < start  # rows count from the top


def test_limits_hold_the_y_axis(tmp_path: Path) -> None:
    """A flat curve at 0.5 stands in the middle from 0 to 1, and lower from 0 to 2."""
    curves = {"test": (X, np.full(50, 0.5))}
    rows = [
        np.median(drawn_at(curve_pixels(tmp_path / "c.png", curves, limits=limits), FIRST)[0])
        for limits in ((0, 0.6), (0, 1), (0, 2))
    ]
    assert rows == sorted(rows)
    assert len(set(rows)) == 3


def test_a_logarithmic_axis_makes_a_line_of_equal_factors(tmp_path: Path) -> None:
    """A curve that rises as much from 10 to 100 as from there to 1000 passes the middle there."""
    curves = {"test": (np.array([10, 100, 1000]), np.array([0.0, 0.5, 1.0]))}
    for log_x in (True, False):
        picture = curve_pixels(tmp_path / "curves.png", curves, log_x=log_x)
        rows, columns = drawn_at(picture, FIRST)
        middle = (columns.min() + columns.max()) / 2
        at_middle = rows[np.abs(columns - middle) < 4].mean()
        is_straight = abs(at_middle - (rows.min() + rows.max()) / 2) < 5
        assert is_straight == log_x


def test_a_curve_of_few_points_has_markers(tmp_path: Path) -> None:
    """One point, after a single epoch, would not be seen without."""
    point = np.array([1.0]), np.array([0.5])
    size_of_legend = drawn_at(curve_pixels(tmp_path / "c.png", {"a": (X, X + np.nan)}), FIRST)[0]
    shown = drawn_at(curve_pixels(tmp_path / "c.png", {"a": point}), FIRST)[0]
    assert shown.size > size_of_legend.size + 20


BARS = pd.DataFrame({"gpt2": [0.9, 0.1, 0.1], "baseline": [0.5, 0.5, 0.5]}, ["x", "$y_$", "z"])


def bar_pixels(path: Path, panels: dict[str, pd.DataFrame]) -> np.ndarray:
    save_bars(path, panels, title="title")
    return pixels(path)


def test_bars_are_as_long_as_their_values_and_the_first_is_on_top(tmp_path: Path) -> None:
    picture = bar_pixels(tmp_path / "bars.png", {"accuracy": BARS[["gpt2"]]})
    lengths = (np.abs(picture - FIRST).max(2) <= 2).sum(1)
    of_bars = [length for length in lengths[np.flatnonzero(np.diff(lengths)) + 1] if length > 5]
    longest = max(of_bars)
    assert of_bars[0] == longest
    assert of_bars[-1] == pytest.approx(longest / 9, abs=2)


def test_bars_have_a_colour_a_series_and_a_panel_more_makes_them_wider(tmp_path: Path) -> None:
    one = bar_pixels(tmp_path / "one.png", {"accuracy": BARS})
    assert shows(one, FIRST)
    assert shows(one, SECOND)
    two = bar_pixels(tmp_path / "two.png", {"accuracy": BARS, "recall": BARS * 2})
    assert two.shape[0] == one.shape[0]
    assert one.shape[1] < two.shape[1] < 1200


def test_panels_may_have_other_rows(tmp_path: Path) -> None:
    panels = {"first": BARS[["gpt2"]], "second": BARS[["gpt2"]].rename({"x": "other"})}
    assert shows(bar_pixels(tmp_path / "bars.png", panels), FIRST)


def test_the_same_bars_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "again"):
        save_bars(tmp_path / name, {"accuracy": BARS}, title="title")
    assert (tmp_path / "first").read_bytes() == (tmp_path / "again").read_bytes()


@both_kinds
def test_the_same_matrix_gives_the_same_bytes_and_another_does_not(
    tmp_path: Path, normalized: bool
) -> None:
    def content(name: str, counts: np.ndarray) -> bytes:
        path = tmp_path / name
        save_confusion_matrix(path, counts, LABELS[:2], "title", normalized=normalized)
        return path.read_bytes()

    first = content("first.png", COUNTS[2])
    assert content("again.png", COUNTS[2].copy()) == first
    assert content("other.png", COUNTS[2] + np.array([[1, 0], [0, 0]])) != first


def test_a_matrix_may_have_other_axes_than_true_and_predicted(tmp_path: Path) -> None:
    """The same picture, save for the two names beside it."""
    first = confusion_pixels(tmp_path / "first.png", COUNTS[2], normalized=False)
    save_confusion_matrix(
        tmp_path / "second.png", COUNTS[2], LABELS[:2], "title", normalized=False,
        rows="GPT-2!", columns="predicted",
    )  # fmt: skip
    second = pixels(tmp_path / "second.png")
    assert first.shape == second.shape
    changed = np.nonzero((first != second).any(2))[1]
    assert changed.size
    assert changed.max() < first.shape[1] / 6  # at the left edge only


def test_bars_of_nothing_are_a_picture_all_the_same(tmp_path: Path) -> None:
    """A classifier without mistakes has no tokens to show."""
    assert bar_pixels(tmp_path / "bars.png", {"ham": pd.DataFrame({"score": []})}).size


IN_A_NEW_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from spam_gpt2.figures.charts import save_curves
xs = np.linspace(0, 1, 50)
save_curves(Path(sys.argv[1]), {"test": (xs, xs**2)}, title="t", x="x", y="y", limits=(0, 1.02))
"""


def test_another_process_writes_the_same_bytes(tmp_path: Path) -> None:
    curves = {"test": (X, X**2)}
    save_curves(tmp_path / "here.png", curves, title="t", x="x", y="y", limits=(0, 1.02))
    command = [sys.executable, "-c", IN_A_NEW_PROCESS, str(tmp_path / "there.png")]
    subprocess.run(command, check=True, timeout=120)
    assert (tmp_path / "here.png").read_bytes() == (tmp_path / "there.png").read_bytes()
