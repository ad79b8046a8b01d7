"""The report: everything inside, nothing from elsewhere, and messages that cannot do harm."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from conftest import ROOT
from jinja2 import UndefinedError

from spam_gpt2.common.params import load_params
from spam_gpt2.reporting.report_page import leak, render_report, tint

FIGURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")
PNG = b"\x89PNG\r\n\x1a\n"


class AnyPicture(dict):
    """A picture of whatever name."""

    def __missing__(self, name: str) -> bytes:
        return PNG


def context(weights: str = "gpt2-124M") -> dict[str, Any]:
    figures = dict.fromkeys(FIGURES, 0.9)
    side = {
        "train": figures, "validation": figures, "test": {**figures, "accuracy": 0.9375},
        "test_intervals": {name: [0.8, 0.95] for name in FIGURES}, "labels": ["ham", "spam"],
    }  # fmt: skip
    counts = {"total": 16, "ham": 8, "spam": 8}
    decision = {"test": {"accuracy": 0.9, "recall": 0.8, "precision": 0.7,
                         "false_positive_rate": 0.1}}  # fmt: skip
    calibrated = {"test": {"expected_calibration_error": 0.05, "loss": 0.2}}
    robust = {"unchanged": {"accuracy": 0.9, "accuracy_change": 0.0}}
    return {
        "gpt2": {"weights": weights, "weights_sha256": "ab" * 32, **side},
        "baseline": {"model": "TF-IDF", **copy.deepcopy(side)},
        "holdout": {"weights": weights, "ham": {"messages": 4080, "false_positives": 227,
                    "false_positive_rate": 0.0556, "interval": [0.049, 0.063]}},
        "data": {"messages": counts, "repeated_texts": 3, "splits": {"test": counts},
                 "also_in_train": {"test": 0}},
        "tokens": {"train": {"tokens_mean": 30.6, "tokens_longest": 120}},
        "training": {"trainable_parameters": 1538},
        "calibration": {
            "labels": ["ham", "spam"],
            "threshold": {"value": 0.5, "negatives": 8, "allowed": 0},
            "at_threshold": decision, "argmax": decision,
            "calibration": {"of": "spam", "temperature": 1.5, "unscaled": calibrated,
                            "scaled": calibrated},
        },
        "comparison": {"test": {"summary": "Both are good.", "both": 1, "only_first": 2,
                                "only_second": 3, "neither": 4}},
        "robustness": {"messages": 16, "messages_changed": {"unchanged": 0}, "gpt2": robust,
                       "baseline": robust},
        "errors": {"mistakes": [
            {"label": "ham", "predicted": "spam", "probability": 0.9, "line": 7,
             "tokens": [{"text": "<script>alert(1)</script>", "score": 2.0},
                        {"text": " & co", "score": -1.0}]}
        ]},
        "probe": "> 'forward'", "params_text": "finetune: {}",
        "params": load_params(ROOT / "params.yaml").model_dump(),
        "experiments": [], "experiments_note": "", "leak": [],
    }  # fmt: skip


class Outside(HTMLParser):
    """Whatever a page loads or links to that is not inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "iframe"):
            self.found.append(tag)
        for name, value in attrs:
            if name in ("src", "href") and not str(value).startswith(("data:", "#")):
                self.found.append(f"{tag} {name}={value}")


def test_the_page_loads_nothing_from_elsewhere() -> None:
    page = render_report(context(), AnyPicture())
    outside = Outside()
    outside.feed(page)
    assert outside.found == []
    assert "http" not in page.replace("data:image/png", "")
    assert page.count("<img src=") == len(re.findall(r'src="data:image/png;base64,iVBOR', page)) > 9


def test_what_a_message_says_is_text() -> None:
    page = render_report(context(), AnyPicture())
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert " &amp; co" in page


def test_the_figures_are_those_of_the_metrics() -> None:
    page = render_report(context(), AnyPicture())
    assert "<strong>93.8 %</strong> correctly (95 % interval 80.0 to 95.0 %)" in page
    assert "227 are taken for another class: <strong>5.6 %</strong>" in page
    assert "Both are good." in page


def test_the_stand_in_is_named_before_any_figure() -> None:
    page = render_report(context("gpt2-mini"), AnyPicture())
    assert page.index("These are not GPT-2's figures") < page.index("93.8 %")
    assert "These are not GPT-2" not in render_report(context(), AnyPicture())


def test_the_threshold_is_told_to_its_last_digit() -> None:
    """Rounded, it may be below the very negative that it is to keep out."""
    values = context()
    values["calibration"]["threshold"]["value"] = 0.91523235
    page = render_report(values, AnyPicture())
    assert "above a probability of <strong>0.91523235</strong>" in page


def test_three_classes_have_no_threshold() -> None:
    values = context()
    del values["calibration"]["threshold"]
    del values["calibration"]["at_threshold"]
    assert "flags from a probability" not in render_report(values, AnyPicture())


def test_the_leak_is_told_in_points() -> None:
    values = context()
    columns = ("about", "weights", "train %", "validation %", "published test %", "seconds",
               "features recomputed", "trained parameters")  # fmt: skip
    shares = {"book": ("97.0", "95.5"), "lora": ("98.0", "90.0"), "leaky": ("92.0", "")}
    values["experiments"] = [
        {**dict.fromkeys(columns, "7"), "experiment": name, "test %": test, "unseen test %": unseen}
        for name, (test, unseen) in shares.items()
    ]
    values["leak"] = leak(values["experiments"])
    page = render_report(values, AnyPicture())
    assert re.findall(r"[+-][0-9.]+ points", page) == ["+1.5 points"]
    assert "<code>book</code> classifies 97.0 % of all test messages" in page
    assert "95.5 % of those whose text is not in its training set" in page
    assert page.count("<td>7.00</td>") == 3 * len(shares)  # train, validation, published
    assert page.count("<td>7.0</td>") == len(shares)  # seconds
    assert "<td>97.00</td><td>95.50</td>" in page
    assert "<td>92.00</td><td></td>" in page


def test_a_size_that_was_not_fetched_has_its_published_figure_alone() -> None:
    """The row as `make experiments` writes it: the stand-in's figures would pass for that size."""
    columns = ("trained parameters", "train %", "validation %", "test %", "unseen test %",
               "seconds", "features recomputed")  # fmt: skip
    large = {"experiment": "size_355M", "about": "GPT-2 medium", "weights": "not fetched",
             "published test %": "84.67", **dict.fromkeys(columns, "")}  # fmt: skip
    small = {**large, **dict.fromkeys(columns, "7"), "experiment": "x", "weights": "gpt2-mini"}
    values = {**context(), "experiments": [large, small]}
    page = render_report(values, AnyPicture())
    [shown] = [line for line in page.splitlines() if "size_355M" in line]
    cells = re.findall(r"<td([^>]*)>(.*?)</td>", shown)
    assert [re.sub("<.*?>", "", text) for _, text in cells] == [
        "size_355M", "GPT-2 medium", "not fetched", "84.67", "", "",
    ]  # fmt: skip
    width = sum(int((re.findall(r'colspan="(\d+)"', tag) or [1])[0]) for tag, _ in cells)
    [other] = [line for line in page.splitlines() if "<code>x</code>" in line]
    assert width == other.count("<td")
    assert "not fetched" not in other


def test_a_class_named_total_or_as_html_is_shown_as_text() -> None:
    values, labels = context(), ["total", "</script><b>spam</b>"]
    values["gpt2"]["labels"] = values["calibration"]["labels"] = labels
    counts = {"total": 17, "total (class)": 8, labels[1]: 9}
    values["data"] |= {"messages": counts, "splits": {"test": counts}}
    page = render_report(values, AnyPicture())
    assert "<b>spam</b>" not in page
    assert "<td>test</td><td>8</td><td>9</td><td>17</td>" in page


def test_a_figure_that_is_missing_is_an_error_and_no_gap() -> None:
    values = context()
    del values["gpt2"]["test"]["accuracy"]
    with pytest.raises(UndefinedError):
        render_report(values, AnyPicture())


def test_the_strongest_token_has_the_deepest_colour() -> None:
    tokens = [{"score": 2.0}, {"score": -1.0}, {"score": 0.0}]
    assert [tint(token["score"], tokens) for token in tokens] == [
        "rgba(220, 60, 40, 0.60)", "rgba(40, 110, 220, 0.30)", "rgba(40, 110, 220, 0.00)",
    ]  # fmt: skip
    assert tint(0.0, [{"score": 0.0}]) == "rgba(40, 110, 220, 0.00)"
