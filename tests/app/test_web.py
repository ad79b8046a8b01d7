"""What the page's addresses answer, and the friendly line for what is wrong."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from app_requests import COUNTS, ask, make_service

from spam_gpt2.app.service import LONGEST, MOST, Service
from spam_gpt2.app.web import BATCH
from spam_gpt2.classifier.attribution import attribute

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=a>',
    "\u202egnp.exe",
    "\x1b[2J",
    "{{7*7}}",
]


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return make_service(tmp_path)


def test_messages_get_the_classifiers_own_labels_and_probabilities(service: Service) -> None:
    texts = ["win a prize", "", "see you", "win a prize"]
    status, answer, _ = ask(service, "/classify", {"texts": texts})
    assert status == 200
    expected = list(service.predictor.predict(texts))
    assert [it["probabilities"] for it in answer] == [p.probabilities for p in expected]
    assert [it["label"] for it in answer] == [p.label for p in expected]  # 0.5 is the argmax


def test_the_threshold_decides(tmp_path: Path) -> None:
    for threshold, label in ((0.0, "spam"), (1.0, "ham")):
        service = make_service(tmp_path, threshold)
        assert ask(service, "/classify", {"texts": ["a"]})[1][0]["label"] == label


def test_three_classes_have_no_threshold(tmp_path: Path) -> None:
    service = make_service(tmp_path, None, labels=["ham", "news", "spam"])
    assert ask(service, "/state")[1]["threshold"] is None
    (answer,) = ask(service, "/classify", {"texts": ["a"]})[1]
    assert answer["label"] == next(service.predictor.predict(["a"])).label


def test_the_reasons_are_those_of_the_attribution(service: Service) -> None:
    text = "win £900 你好 now"
    _, answer, _ = ask(service, "/explain", {"text": text})
    found = attribute(service.predictor, text)
    assert "".join(part["shown"] for part in answer["parts"]) + answer["rest"] == text
    assert [part["scores"] for part in answer["parts"]] == found.scores.tolist()


def test_what_the_model_does_not_read_is_told_apart(service: Service) -> None:
    text = "word " * 40  # 24 tokens are read
    _, answer, _ = ask(service, "/explain", {"text": text})
    assert len(answer["parts"]) == 24
    assert "".join(part["shown"] for part in answer["parts"]) + answer["rest"] == text


def test_the_page_knows_what_the_slider_counts_on(service: Service) -> None:
    _, state, _ = ask(service, "/state")
    assert state["counts"] == COUNTS
    assert state["labels"] == ["ham", "spam"]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_message_moves_a_cursor_or_hides(service: Service, text: str) -> None:
    _, (answer,), headers = ask(service, "/classify", {"texts": [text]})
    assert answer["shown"].isprintable()
    assert headers["content-type"] == "application/json"


def test_a_correction_is_kept_as_it_is(service: Service) -> None:
    for text in HOSTILE:
        status, answer, _ = ask(service, "/feedback", {"text": text, "label": "spam"})
        assert (status, answer["label"]) == (200, "spam")
    with service.feedback_path.open(newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["text", "label", "time"]
    assert [row[0] for row in rows[1:]] == HOSTILE


WRONG: list[tuple[str, Any, str]] = [
    ("/classify", {}, "texts: Field required"),
    ("/classify", {"texts": []}, "texts: "),
    ("/classify", {"texts": [1]}, "texts.0: Input should be a valid string"),
    ("/classify", {"texts": ["a"] * (BATCH + 1)}, "texts: "),
    ("/classify", {"texts": ["a"], "more": 1}, "more: Extra inputs are not permitted"),
    ("/classify", {"texts": ["\ud800"]}, "half a character"),
    ("/classify", {"texts": ["a" * (LONGEST + 1)]}, "a message of 20,001 characters"),
    ("/explain", {"text": "\udfff"}, "half a character"),
    ("/feedback", {"text": " ", "label": "ham"}, "an empty message"),
    ("/feedback", {"text": "a", "label": "eggs"}, "label 'eggs' is none of ham, spam"),
    ("/texts", b"", "the file.csv: empty"),
    ("/texts", b"a,b\n1,2\n", "name the column of the texts `text`"),
    ("/texts", b"text\n\xe9\n", "not UTF-8; it looks like latin-1: save it as UTF-8"),
    ("/texts", b"text,n\na,1,2\n", "line 2: 3 fields where 2 are expected"),
    ("/texts", b'text\n"open\n', "a quote is opened and never closed"),
    ("/texts", b"PK\x03\x04zip", "a zip archive"),
    ("/texts", b"text\n" + b"a\n" * (MOST + 1), "more than 5,000 messages"),
    ("/texts?kind=.parquet", b"PAR1 no", "not a whole Parquet file"),
]


@pytest.mark.parametrize(("path", "content", "expected"), WRONG)
def test_bad_input_gets_one_friendly_line(
    service: Service, path: str, content: Any, expected: str
) -> None:
    status, answer, _ = ask(service, path, content)
    assert status == 400
    assert expected in answer["message"]
    assert "\n" not in answer["message"]
    assert "Traceback" not in answer["message"]


@pytest.mark.parametrize("content", [b"{", b"[" * 100_000, b"\xff", b"null", b"[]"])
def test_what_is_no_json_is_refused(service: Service, content: bytes) -> None:
    status, answer, _ = ask(service, "/classify", content, content_type="application/json")
    assert status == 400
    assert answer["message"]


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (".csv", '\ufefftext,label\r\none,ham\r\n"two, 2",spam\r\n'.encode()),
        (".tsv", b"label\ttext\nham\tone\nspam\ttwo, 2\n"),
        (".jsonl", b'{"text": "one"}\n{"text": "two, 2"}\n'),
        (".exe/../../etc", b'text\none\n"two, 2"\n'),
    ],
)
def test_a_file_in_any_form_gives_its_texts(service: Service, kind: str, content: bytes) -> None:
    assert ask(service, f"/texts?kind={kind}", content)[1] == ["one", "two, 2"]


def test_a_correction_that_cannot_be_saved_is_said(service: Service) -> None:
    service.feedback_path.parent.mkdir()
    service.feedback_path.write_text("something else\n")
    status, answer, _ = ask(service, "/feedback", {"text": "a", "label": "ham"})
    assert status == 400
    assert "expected the columns text, label, time" in answer["message"]
    assert service.feedback_path.read_text() == "something else\n"
