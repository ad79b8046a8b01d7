"""How every picture looks and is written: the same bytes for the same figures."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import matplotlib
from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.textpath import text_to_path

from spam_gpt2.common.files import whole_file
from spam_gpt2.common.text import one_line

CLASSIFIER, BASELINE = "classifier", "baseline"  # what the two are called in every picture
MODELS = {"gpt2": CLASSIFIER, "baseline": BASELINE}  # by their files' names
INK, QUIET = "#1d2733", "#5f6b7a"
# After Okabe & Ito 2008, told apart by colour-blind readers; the first two are told apart in grey,
# and the others by their dashes and marks.
COLOURS = ("#004c8c", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#b08500", "#5f6b7a")
DASHES = ((), (5, 2), (1, 1.4), (6, 2, 1, 2), (10, 3), (8, 2, 1, 1, 1, 2), (2, 3))
MARKS = "oDs^vPX"
DPI = 200
TITLE_SIZE, SUBTITLE_SIZE = 11, 9  # points
MARGIN = 0.12  # inches, left of a title

matplotlib.rcParams |= {
    "text.parse_math": False,  # a label's dollar signs are no formula
    "font.family": "DejaVu Sans",  # matplotlib carries it, so that it is the same everywhere
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "#dfe3e8",
    "grid.linewidth": 0.7,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 5,
    "svg.hashsalt": "spam-gpt2",
}


def new_figure(width: float, height: float, title: str, subtitle: str = "") -> Figure:
    """An empty picture of a size in inches, with its title and a smaller line below that.

    Both are wrapped at the picture's width; with more lines, the picture is higher.
    """
    title, n_title = _wrapped(title, width, TITLE_SIZE, "bold")
    subtitle, n_subtitle = _wrapped(subtitle, width, SUBTITLE_SIZE, "normal")
    height += (n_title * TITLE_SIZE + n_subtitle * SUBTITLE_SIZE) * 1.25 / 72 + 0.14
    figure = Figure(figsize=(width, height), layout="constrained", dpi=DPI)
    place = {"x": MARGIN / width, "ha": "left", "va": "top"}
    top = 1 - 0.08 / height
    figure.text(y=top, s=title, fontsize=TITLE_SIZE, weight="bold", gid="title", **place)
    below = top - (n_title * TITLE_SIZE * 1.25 / 72 + 0.03) / height
    figure.text(y=below, s=subtitle, fontsize=SUBTITLE_SIZE, color=QUIET, gid="subtitle", **place)
    bottom = below - n_subtitle * SUBTITLE_SIZE * 1.25 / 72 / height
    figure.get_layout_engine().set(rect=(0, 0, 1, bottom), w_pad=0.08, h_pad=0.06)
    return figure


def words_of(figure: Figure, which: str) -> str:
    """The `title` or the `subtitle` of a picture, on one line."""
    return next(" ".join(t.get_text().split()) for t in figure.texts if t.get_gid() == which)


def line_style(i: int) -> dict[str, object]:
    """Colour and dashes of the i-th line of a picture; there are as many as `COLOURS`."""
    i %= len(COLOURS)
    return {"color": COLOURS[i], "linestyle": (0, DASHES[i]) if DASHES[i] else "-"}


def drawable(text: str) -> str:
    """Text on one line, in characters that the font has; others are written as `\\u4e2d`."""
    known = _characters()
    return "".join(
        c if ord(c) in known else c.encode("unicode_escape").decode("ascii") for c in one_line(text)
    )


def shortened(text: str, length: int) -> str:
    """Drawable text of a length at most, but for the ellipsis at a cut."""
    text = drawable(text)
    return text if len(text) <= length else f"{text[:length]}…"


@cache
def _characters() -> frozenset[int]:
    path = font_manager.findfont("DejaVu Sans", fallback_to_default=False)
    return frozenset(font_manager.get_font(path).get_charmap())


def _wrapped(text: str, width: float, size: float, weight: str) -> tuple[str, int]:
    """Text in lines that fit a width in inches, and how many they are.

    What stands in brackets stays on one line.
    """
    if not text.strip():
        return "", 0
    text = re.sub(r"\([^()]{,40}\)", lambda m: m[0].replace(" ", "\u00a0"), drawable(text))
    font = font_manager.FontProperties(family="DejaVu Sans", weight=weight, size=size)
    room = (width - 2 * MARGIN) * 72  # points
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}".strip(" ")
        points, _, _ = text_to_path.get_text_width_height_descent(longer, font, ismath=False)
        lines[-1:] = [longer] if points < room or not lines[-1] else [lines[-1], word]
    return "\n".join(lines), len(lines)


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG, whole or not at all."""
    with whole_file(path) as beside_path:
        figure.savefig(
            beside_path, format="png", dpi=DPI, metadata={"Software": None}, bbox_inches="tight",
            pad_inches=0.1,
        )  # fmt: skip
