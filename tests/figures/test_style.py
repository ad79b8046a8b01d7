"""One style: titles that fit, characters that the font has, and the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from spam_gpt2.figures.charts import save_curves
from spam_gpt2.figures.style import drawable, new_figure, shortened, words_of

X = np.linspace(0, 1, 50)
IN_A_NEW_PROCESS = """
import sys
from pathlib import Path
import numpy as np
from spam_gpt2.figures.charts import save_curves
xs = np.linspace(0, 1, 50)
save_curves(Path(sys.argv[1]), {"test": (xs, xs**2)}, title="t", x="x", y="y")
"""


def test_another_process_writes_the_same_bytes_and_another_curve_others(tmp_path: Path) -> None:
    for name, ys in (("here", X**2), ("again", X**2), ("other", X**3)):
        save_curves(tmp_path / f"{name}.png", {"test": (X, ys)}, title="t", x="x", y="y")
    command = [sys.executable, "-c", IN_A_NEW_PROCESS, str(tmp_path / "there.png")]
    subprocess.run(command, check=True, timeout=120)
    here = (tmp_path / "here.png").read_bytes()
    assert here == (tmp_path / "again.png").read_bytes()
    assert here == (tmp_path / "there.png").read_bytes()
    assert here != (tmp_path / "other.png").read_bytes()
    for chunk in (b"tIME", b"Software", b"Creation"):
        assert chunk not in here
    assert plt.get_fignums() == []


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize(
    "title", ["Short", "A title that is far too long for one line " * 3, "m" * 20]
)
def test_a_title_stays_within_the_picture_and_above_the_axes(title: str, width: float) -> None:
    figure = new_figure(width, 3, title, "what it was made of (in brackets, on one line)")
    axes = figure.add_subplot()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.texts]
    assert all(box.x0 >= 0 and box.x1 <= figure.bbox.width for box in boxes)
    assert boxes[0].y0 >= boxes[1].y1 - 1
    assert boxes[1].y0 >= axes.get_window_extent().y1
    assert words_of(figure, "title") == title.strip()
    assert "(in\u00a0brackets,\u00a0on\u00a0one\u00a0line)" in figure.texts[1].get_text()


def test_what_the_font_lacks_is_written_as_python_does() -> None:
    assert drawable("é ß „x“\n中文") == "é ß „x“ \\u4e2d\\u6587"
    assert shortened("abcdef", 3) == "abc…"
    assert shortened("abc", 3) == "abc"
