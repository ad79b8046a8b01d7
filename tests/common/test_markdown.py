"""Tables, code and sections come out of an independent Markdown parser as they were meant."""

from __future__ import annotations

import pytest
from markdown_it import MarkdownIt
from rendered import tables

from spam_gpt2.common.markdown import code, details, escape, fit, table, warning


@pytest.mark.parametrize("text", ["plain", "a|b", "two\nlines", "**bold**", "<b>", "", "a\\"])
def test_a_cell_keeps_its_row(text: str) -> None:
    [found] = tables(table(["", "before", "after"], [["x", code(text), "1"], ["y", text, "2"]]))
    assert list(found) == ["", "x", "y"]
    assert [len(row) for row in found.values()] == [2, 2, 2]
    assert (found["x"][1], found["y"][1]) == ("1", "2")
    if text:
        assert found["x"][0] == text.replace("\n", " ")


@pytest.mark.parametrize("text", ["it`s", "`", "<script>", "@someone", "  two  words "])
def test_code_is_one_span_of_code(text: str) -> None:
    [paragraph] = [t for t in MarkdownIt().parse(code(text)) if t.type == "inline"]
    assert [child.type for child in paragraph.children] == ["code_inline"]
    assert paragraph.children[0].content == " ".join(text.replace("`", "'").split())


@pytest.mark.parametrize(
    "text",
    ["ham", "</script><b>total</b>", "*a* _b_ `c` ~~d~~", "[x](http://x)", "&lt;", "a\\*", "# a"],
)
def test_plain_text_is_shown_as_it_is(text: str) -> None:
    parser = MarkdownIt("gfm-like", {"linkify": False})
    [paragraph] = [t for t in parser.parse(escape(text)) if t.type == "inline"]
    assert {child.type for child in paragraph.children} <= {"text", "text_special"}
    assert "".join(child.content for child in paragraph.children) == text
    [found] = tables(table(["", escape(text)], [["x", "1"]]))
    assert found[""] == [text]


def test_what_is_folded_is_still_markdown() -> None:
    html = MarkdownIt().render(details("<code>file</code>", "**bold**"))
    assert "<summary><code>file</code></summary>" in html
    assert "<strong>bold</strong>" in html


def test_a_warning_is_one_quotation() -> None:
    html = MarkdownIt().render(warning("Take **care**."))
    assert html.startswith("<blockquote>\n<p>[!WARNING]\nTake <strong>care</strong>.</p>")


def test_sections_that_fit_stay() -> None:
    assert fit(["a" * 5, "b" * 3], "note", limit=10) == "aaaaa\n\nbbb"


@pytest.mark.parametrize("limit", [30, 40, 41, 57, 58, 59])
def test_sections_that_do_not_fit_give_way_whole(limit: int) -> None:
    sections = ["a" * 5, "b" * 30, "c" * 5, "d" * 30]
    text = fit(sections, "note", limit=limit)
    assert len(text) <= limit
    *kept, note = text.split("\n\n")
    assert note == "note"
    assert kept == [section for section in sections if section in kept]
    assert {"a" * 5, "c" * 5} <= {*kept}
    assert ("b" * 30 in kept) == (limit >= 5 + 2 + 30 + 2 + 5 + 2 + 4)
