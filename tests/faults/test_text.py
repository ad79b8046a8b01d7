"""Text of strangers: on a terminal, a page or in a spreadsheet it is no more than text."""

from __future__ import annotations

import csv
import io
import json
import re
import time
import unicodedata
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from spam_gpt2.__main__ import _option, _write
from spam_gpt2.common.console import exit_with_error, say, warn
from spam_gpt2.common.csv_injection import guard, unguard
from spam_gpt2.common.files import InputError, read_csv, write_csv
from spam_gpt2.common.markdown import code, escape, table
from spam_gpt2.common.params import load_params
from spam_gpt2.common.text import one_line, visible
from spam_gpt2.data.rows import text_rows
from spam_gpt2.data.table import Form
from spam_gpt2.evaluation.errors import errors_report
from spam_gpt2.evaluation.evaluation import _pairs, write_evaluation
from spam_gpt2.evaluation.predictions import label_ids, predictions_table, read_predictions
from spam_gpt2.figures import confusion
from spam_gpt2.figures.style import words_of
from spam_gpt2.reporting.model_card import _data, _licences, _use, _what
from spam_gpt2.reporting.report_page import _visible
from spam_gpt2.reporting.words import words

BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
CONTROLS = "".join(map(chr, [*range(9), 11, 12, *range(14, 32), *range(127, 160)]))
UNSEEN = [*CONTROLS, *BIDI, "\u2028", "\u2029", "\ufeff", "\u200b", "\ud800"]
EVIL = [
    "\x1b]0;title\x07", "\x1b[2J\x1b[31mspam", "ham\u202emaps", "a\x00b", "\x9b31m", "a\rb",
    "a\x08\x08b", "</script><script>alert(1)</script>", "<!--<script>", "<DVC_METRIC_DATA>",
    "<img src=x onerror=y>", "a|b", "`code`", "**bold**", "[x](javascript:y)", "$x$", "{plot_divs}",
    "{{ 1 }}", "&lt;", "# head", "=1+1", "@SUM(A1)", "-2+3", "+1", "\t=1", "'=1", "\\", '"', "<3",
    "ham", "你好", "👨‍👩‍👧",
]  # fmt: skip
FORMULAS = tuple("=+-@\t\r\n")
WIDE = "\uff1d\uff0b\uff0d\uff20"  # the same on East Asian keyboards


def is_clean(text: str) -> bool:
    """No character that moves, hides or turns what stands around it."""
    return not any(c in text for c in UNSEEN)


@pytest.mark.parametrize("character", UNSEEN, ids=ascii)
def test_what_cannot_be_seen_is_written_out(character: str) -> None:
    assert visible(f"a{character}b") == f"a{ascii(character)[1:-1]}b"


def test_what_can_be_seen_stays() -> None:
    for text in ("£1 ü 你好 😀", "👨‍👩‍👧", "می‌خواهم", "a \\ b", ""):
        assert visible(text) == text
    assert visible("a\n\tb", keep="\n\t") == "a\n\tb"
    assert one_line(" a\n\t b\x1b ") == "a b\\x1b"


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_news_warnings_and_errors_are_one_clean_line(
    capsys: pytest.CaptureFixture[str], text: str
) -> None:
    """As an HTTP reason, an MLflow answer, a label or a file's name may have it."""
    text += "\nerror: forged"
    say(text)
    warn(text)
    for error in (InputError(text), OSError(2, text, text)):
        with pytest.raises(SystemExit):
            exit_with_error(error)
    seen = capsys.readouterr().err
    assert is_clean(seen)
    assert "\r" not in seen
    assert len(seen.splitlines()) == 4


def markup(text: str) -> set[str]:
    """The kinds of HTML that Markdown makes of a text."""
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    return {*re.findall(r"<(\w+)", html)}


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_a_label_is_no_markup_in_markdown(text: str) -> None:
    for written in (f"a {escape(text)} b", table(["x", escape(text)], [["y", escape(text)]])):
        assert is_clean(written)
        assert markup(written) <= {"p", "table", "thead", "tbody", "tr", "th", "td"}
    assert markup(f"a {code(text)} b") == {"p", "code"}
    assert is_clean(code(text))


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_labels_are_escaped_in_the_model_card(text: str) -> None:
    labels = [text, "other"]
    params = load_params(ROOT / "params.yaml").model_dump()
    counts = {label: 1 for label in labels} | {"total": 2}
    data = {"splits": {"train": counts}, "messages": {"total": 2}}
    gpt2 = {"weights": "w", "weights_sha256": "0", "labels": labels}
    training = {"trainable_parameters": 1, "device": "cpu", "precision": "float32"}
    named = words(labels, params | {"prepare": params["prepare"] | {"path": text or "own.csv"}})
    use, what = _use(labels, named), _what(gpt2, training, params, named)
    parts = _data(data, labels, params, named), what, use, _licences("w", named)
    kinds = {"p", "a", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre"}
    for part in parts:
        assert is_clean(part)
        assert markup(part) <= kinds


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_messages_labels_and_tokens_are_escaped_in_the_report_of_mistakes(text: str) -> None:
    token = {"text": text, "score": 0.5, "places": 1}
    mistake = {"label": text, "predicted": text, "probability": 0.9, "text": text, "line": 3}
    explained = {"mistakes": [mistake | {"tokens": [token]}], "tokens": {text: [token]}}
    report = errors_report("gpt2-mini", 10, 1, explained)
    assert is_clean(report)
    kinds = {"h1", "h2", "p", "code", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
    assert markup(report) <= kinds


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_what_the_report_page_shows_can_be_seen(text: str) -> None:
    assert is_clean(_visible(text))
    assert _visible(5) == 5


class Page(HTMLParser):
    """Scripts and tags as a browser would find them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] == "script" and data.strip():
            self.scripts.append(data)


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_a_label_stays_in_the_script_of_the_plots_page(text: str) -> None:
    """As DVC itself fills the template, which escapes nothing."""
    labels = [text, "other"]
    pairs = _pairs(np.array([0, 1, 0]), np.eye(2)[[0, 0, 1]], labels)
    points = pairs.assign(rev="workspace").to_dict("records")
    plot = VegaRenderer(points, "x", x="actual", y="predicted", template="confusion")
    html = HTML("<html><body>{plot_divs}</body></html>")
    page = Page(html.with_element(plot.generate_html()).embed())
    assert [tag for tag in page.tags if tag not in ("html", "body")] == ["div", "script"]
    spec = re.search(r"var spec = (\{.*\});", "".join(page.scripts))[1]
    assert "<!--" not in spec
    values = json.loads(spec)["data"]["values"]
    shown = {value["actual"] for value in values}
    assert len(shown) == 2
    assert all(is_clean(label) for label in shown)


@pytest.mark.parametrize("text", EVIL, ids=ascii)
def test_a_written_field_starts_no_formula_and_comes_back(tmp_path: Path, text: str) -> None:
    if "\x00" in text:
        return  # no message has one: `prepare` refuses it
    path = tmp_path / "table.csv"
    write_csv(path, pd.DataFrame({"line": [1, 2], "text": [text, "ham"], "label": [text, "ham"]}))
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert not any(field.startswith(FORMULAS) for row in rows for field in row)
    assert read_csv(path, ["text", "label"])["text"].tolist() == [text, "ham"]
    assert read_csv(path, ["text", "label"])["label"].tolist() == [text, "ham"]


@pytest.mark.parametrize("text", [t for t in EVIL if "\x00" not in t], ids=ascii)
def test_predictions_come_back_with_any_label_and_text(tmp_path: Path, text: str) -> None:
    labels = [text, "other"]
    messages = pd.DataFrame({"line": [1, 2], "label": labels, "text": [text, f"'{text}"]})
    path = tmp_path / "predictions.csv"
    write_csv(path, predictions_table(messages, np.array([[0.25, 0.75], [1.0, 0.0]]), labels))
    read, probabilities = read_predictions(path, labels)
    assert read.to_dict("list") == messages.to_dict("list")
    assert probabilities.tolist() == [[0.25, 0.75], [1.0, 0.0]]
    assert label_ids(read, labels).tolist() == [0, 1]


@given(st.text(alphabet=st.sampled_from(f"'=+-@\t\r\n{WIDE} a"), max_size=6))
def test_any_field_comes_back(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not guard(text).startswith(FORMULAS)
    if not text.lstrip("'").startswith((*FORMULAS, *WIDE)):
        assert guard(text) == text


@pytest.mark.full
@settings(max_examples=20_000)
@given(st.text())
def test_any_text_comes_back_and_can_be_seen(text: str) -> None:
    assert unguard(guard(text)) == text
    assert not any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in visible(text))
    assert markup(f"a {code(text)} b") <= {"p", "code"}


class Terminal(io.StringIO):
    """Standard output that a person looks at."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("text", [t for t in EVIL if "\x00" not in t], ids=ascii)
def test_the_command_line_writes_csv_that_it_reads_back(text: str) -> None:
    answer = SimpleNamespace(label=text, probability=1.0, probabilities=[1.0, 0.0])
    predictor = SimpleNamespace(
        card=SimpleNamespace(labels=[text, "x"]), predict=lambda texts: (answer for _ in texts)
    )
    out = io.StringIO()
    _write(["text", text], [([text, "'=1"], text)], predictor, out, lambda: None)
    fields = [field for row in csv.reader(io.StringIO(out.getvalue())) for field in row]
    assert not any(field.startswith(FORMULAS) for field in fields)
    form = Form(None, None, None, ",", _option)
    written = io.BufferedReader(io.BytesIO(out.getvalue().encode()))
    rows = text_rows(written, Path("x.csv"), form, "text")
    assert next(rows)[:2] == ["text", text]
    columns, found = next(rows)
    assert (found, columns[:3]) == (text, [text, "'=1", text])
    terminal = Terminal()
    _write(["text"], [([text], text)], predictor, terminal, lambda: None)
    assert is_clean(terminal.getvalue())


@pytest.mark.full
def test_300_classes_are_done_in_under_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluate = load_params(ROOT / "params.yaml").evaluate
    monkeypatch.chdir(tmp_path)
    random, labels = np.random.default_rng(0), [f"class {k}" for k in range(300)]

    def split(per_class: int) -> tuple[pd.DataFrame, np.ndarray]:
        actual = np.tile(np.arange(300), per_class)
        scores = np.exp(random.normal(size=(len(actual), 300)) + 3 * np.eye(300)[actual])
        texts = [f"text {i}" for i in range(len(actual))]
        columns = {"line": range(len(actual)), "label": np.array(labels)[actual], "text": texts}
        return pd.DataFrame(columns), scores / scores.sum(1, keepdims=True)

    splits = {"train": split(14), "validation": split(2), "test": split(4)}
    began = time.monotonic()
    campaigns = pd.DataFrame(columns=["campaign", "split", "line"])
    write_evaluation("gpt2", {"weights": "x"}, splits, labels, evaluate, campaigns)
    assert time.monotonic() - began < 60


def test_a_large_picture_says_that_it_shows_the_most_confused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = np.eye(120, dtype=int) * 9
    counts[100, 3] = 5
    seen: list[Figure] = []
    monkeypatch.setattr(confusion, "save", lambda figure, path: seen.append(figure))
    names = [f"class {k}" for k in range(120)]
    confusion.save_confusion_matrix(tmp_path / "x.png", counts, names, "test", normalized=False)
    [axes] = seen[0].axes
    assert words_of(seen[0], "title") == "test"
    assert words_of(seen[0], "subtitle") == "the 50 most confused of 120 classes"
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert len(shown) == 50
    assert {"class 3", "class 100"} <= {*shown}
