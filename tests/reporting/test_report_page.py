"""The report: everything inside, nothing from elsewhere, and messages that cannot do harm."""

from __future__ import annotations

import copy
import html
import re
import runpy
from html.parser import HTMLParser
from typing import Any

import pytest
from calibrated import calibration
from conftest import ROOT
from folded import cross_validation
from jinja2 import UndefinedError

from spam_gpt2.common.params import load_params
from spam_gpt2.figures.captions import CAPTIONS
from spam_gpt2.reporting.report_page import leak, of_these_messages, render_report, tint

FIGURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")
PNG = b"\x89PNG\r\n\x1a\n"


class AnyPicture(dict):
    """A picture of every name that the stage reads."""

    def __init__(self) -> None:
        names = runpy.run_path(str(ROOT / "stages/report.py"))["PICTURES"]
        super().__init__(dict.fromkeys([*names, "experiments"], PNG))


def context(
    weights: str = "gpt2-124M", labels: tuple[str, ...] = ("ham", "spam"), **prepare: Any
) -> dict[str, Any]:
    figures = dict.fromkeys(FIGURES, 0.9)
    side = {
        "train": figures, "validation": figures, "test": {**figures, "accuracy": 0.9375},
        "test_intervals": {name: [0.8, 0.95] for name in FIGURES}, "labels": list(labels),
    }  # fmt: skip
    counts = {"total": 16, **dict.fromkeys(labels, 8)}
    robust = {"unchanged": {"accuracy": 0.9, "accuracy_change": 0.0}}
    params = load_params(ROOT / "params.yaml").model_dump()
    params["prepare"] |= prepare
    return {
        "gpt2": {"weights": weights, "weights_sha256": "ab" * 32, **side},
        "baseline": {"model": "TF-IDF", **copy.deepcopy(side)},
        "holdout": {"weights": weights, "ham": {"messages": 4080, "false_positives": 227,
                    "false_positive_rate": 0.0556, "interval": [0.049, 0.063]}},
        "data": {"messages": counts, "repeated_texts": 3, "splits": {"test": counts},
                 "also_in_train": {"test": 0}},
        "tokens": {"train": {"tokens_mean": 30.6, "tokens_longest": 120}},
        "training": {"trainable_parameters": 1538, "device": "cpu", "precision": "float32"},
        "calibration": calibration(list(labels)),
        "comparison": {"test": {"summary": "Both are good.", "both": 1, "only_first": 2,
                                "only_second": 3, "neither": 4, "p_value": 0.5}},
        "robustness": {"messages": 16, "messages_changed": {"unchanged": 0}, "gpt2": robust,
                       "baseline": robust},
        "external": {"files": {}},
        "errors": {"mistakes": [
            {"label": "ham", "predicted": "spam", "probability": 0.9, "line": 7,
             "tokens": [{"text": "<script>alert(1)</script>", "score": 2.0},
                        {"text": " & co", "score": -1.0}]}
        ]},
        "probe": "> 'forward'", "params_text": "finetune: {}", "params": params,
        "experiments": [], "experiments_note": "", "leak": [],
        "cross_validation": cross_validation(),
    }  # fmt: skip


def text_of(page: str) -> str:
    """What a reader sees, without markup, blanks made one."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", "", page.split("</style>")[1])).split())


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


def test_the_decision_comes_before_any_other_figure() -> None:
    page = render_report(context() | {"cross_validation": None}, AnyPicture())
    text = text_of(page)
    lead = (
        "At the threshold 0.9153, of 1,000 messages with 200 spam among them, 150 spam are caught "
        "(120 to 170) and 8 ham are blocked (4 to 16)."
    )
    assert text.split("SMS spam, classified by gpt2-124M ")[1].startswith(lead)
    assert "<strong>150 spam are caught</strong>" in page
    assert "from 400 ham and 100 spam of test and hold-out" in text
    assert "20.0 % spam is the share in the messages that were read" in text
    assert "Both are good." in text
    assert "accuracy" not in text[: text.index("Both are good.")]


def test_a_share_of_ones_own_is_named_as_such() -> None:
    values = context()
    values["params"]["calibrate"]["prevalence"] = 0.2
    text = text_of(render_report(values, AnyPicture()))
    assert "20.0 % spam is what calibrate.prevalence says." in text
    values["params"]["calibrate"]["prevalence"] = None
    text = text_of(render_report(values, AnyPicture()))
    assert "20.0 % spam is the share in the training set; calibrate.prevalence sets" in text


def with_zone() -> dict[str, Any]:
    """Costs, and a zone in which 30 ham and 60 spam of 1,000 messages are."""
    values = context()
    values["params"]["calibrate"] |= {"costs": {"missed": 1.0, "blocked": 10.0}, "unsure": 0.2}
    found = values["calibration"]
    found["threshold"] = {"value": 0.98, "unsure_from": 0.2, "as_trained": 0.99}
    ham, spam = (dict(found["decision"][label]) for label in ("ham", "spam"))
    ham |= {"right": 762.0, "right_interval": [750.0, 770.0], "unsure": 30.0}
    spam |= {"right": 90.0, "right_interval": [80.0, 99.0], "unsure": 60.0}
    found["decision"] = {"ham": ham, "spam": spam}
    figures = copy.deepcopy(found["at_threshold"]["test"])
    del figures["accuracy"], figures["intervals"]["accuracy"]
    figures["unsure"], figures["intervals"]["unsure"] = 0.09, [0.07, 0.14]
    found["at_threshold"] = {"test": figures}
    return values


def test_what_is_left_unsure_is_neither_caught_nor_blocked() -> None:
    page = render_report(with_zone(), AnyPicture())
    assert (
        "At the threshold 0.98, of 1,000 messages with 200 spam among them, 90 spam are caught "
        "(80 to 99) and 8 ham are blocked (4 to 16); 90 messages are left unsure."
    ) in text_of(page)
    assert "<th>unsure</th>" in page
    assert '<td>9 % <span class="muted">(7 to 14 %)</span></td>' in page
    assert "<th>unsure</th>" not in render_report(context(), AnyPicture())


def test_costs_say_what_the_threshold_is_worth() -> None:
    text = text_of(render_report(with_zone(), AnyPicture()))
    assert (
        "above a probability of 0.98. From 0.2 on up to that, it is left unsure, which costs 0.2. "
        "This costs least when a missed spam costs 1 and a ham taken for spam 10: of 1,000 "
        "messages as in test and hold-out 40 (30 to 52), against 484 where the more probable class "
        "decides, as trained."
    ) in text
    assert "So few say little" not in text


def test_another_share_of_spam_has_a_picture_and_what_to_do() -> None:
    told = "Set calibrate.prevalence to its share and run make report"
    pictures = AnyPicture()
    pictures["calibrate/prevalence"] = PNG
    page = render_report(context(), pictures)
    assert told in text_of(page)
    assert html.escape(CAPTIONS["calibrate/prevalence"]) in page
    assert told not in text_of(render_report(context(labels=("a", "b", "c")), AnyPicture()))


def test_messages_that_repeat_a_training_message_are_counted() -> None:
    values = context()
    values["data"]["also_in_train"] = {"validation": 1, "test": 3, "holdout": 9}
    text = text_of(render_report(values, AnyPicture()))
    assert "nothing was trained or chosen (12 of them repeat a training message)." in text


def test_few_messages_to_choose_a_threshold_on_are_called_few() -> None:
    text = text_of(render_report(context(), AnyPicture()))
    assert (
        "There are only 74 of these, and none of them may be above it. So few say little: by them "
        "alone, the rate may be anything from 5 to 93 %; to show 1.0 % takes 381, none of them "
        "above. On the 400 ham of test and hold-out it is 1.0 % (0.5 to 2.0 %)."
    ) in text


def test_a_threshold_that_does_not_keep_its_rate_is_called_out() -> None:
    said = "That is more than the 1.0 % asked for."
    values = context()
    assert said not in text_of(render_report(values, AnyPicture()))
    values["calibration"]["decision"]["ham"] |= {"interval": [8.8, 20.0]}
    assert said in text_of(render_report(values, AnyPicture()))


def test_the_figures_are_those_of_the_metrics() -> None:
    page = render_report(context(), AnyPicture())
    assert "<tr><td>accuracy</td><td>90 %</td><td>90 %</td><td>94 %</td><td>80 to 95 %</td>" in page
    assert "227 are taken for another class: <strong>5.6 %</strong> (4.9 to 6.3 %)" in page
    assert '<td>90 % <span class="muted">(5 to 93 %)</span></td>' in page
    assert "Exact McNemar test, p = 0.5." in page


def test_every_picture_says_what_to_see() -> None:
    page = render_report(context(), AnyPicture())
    captions = re.findall(r"<figure><img [^>]+><figcaption>([^<]+)</figcaption></figure>", page)
    assert len(captions) == page.count("<img ") == len(AnyPicture()) - 1  # without experiments
    assert set(map(html.unescape, captions)) <= set(CAPTIONS.values())


def test_the_stand_in_is_named_before_any_figure() -> None:
    page = render_report(context("gpt2-mini"), AnyPicture())
    assert page.index("These are not GPT-2's figures") < page.index("At the threshold")
    assert "These are not GPT-2" not in render_report(context(), AnyPicture())


def test_three_classes_have_no_threshold_and_a_line_each() -> None:
    values = context(labels=("ham", "news", "spam"))
    values["calibration"]["calibration"]["of"] = "probability of the predicted class"
    text = text_of(render_report(values, AnyPicture()))
    assert "At the threshold" not in text
    assert "Of 1,000 messages, where the most probable class decides: Of 800 ham, 792 are" in text
    assert "Of 200 spam, 150 are recognised (120 to 170); the others are taken for another" in text
    assert "from 400 ham, 400 news and 100 spam of test and hold-out" in text
    assert "There are more than two classes, so no threshold is chosen" in text
    assert "The probability of the predicted class is off by 5.0 % on average on test" in text


@pytest.mark.parametrize(
    ("labels", "title", "sentence"),
    [
        (("ham", "spam"), "Spam of own.csv", "150 spam are caught (120 to 170) and 8 ham are bl"),
        (("no", "yes"), "Messages of own.csv", "150 yes are found (120 to 170) and 8 no are taken"
         " for yes (4 to 16)."),
    ],
)  # fmt: skip
def test_the_words_are_those_of_the_data(
    labels: tuple[str, ...], title: str, sentence: str
) -> None:
    text = text_of(render_report(context(labels=labels, path="data/own.csv"), AnyPicture()))
    assert text.startswith(f"{title}, classified by")
    assert sentence in text
    assert "SMS" not in text


def test_experiments_of_other_messages_are_not_shown() -> None:
    collection = {"experiment": "of the collection"}
    own = {"experiment": "own", "messages": "own.csv"}
    assert of_these_messages([collection, own], context()["params"]) == [collection]
    assert of_these_messages([collection, own], context(path="own.csv")["params"]) == [own]
    assert 'id="experiments"' not in render_report(context(), AnyPicture())


def test_the_leak_is_told_in_points() -> None:
    values = context() | {"cross_validation": None}  # which has points, too
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
    assert page.count("<td>7.0</td>") == 3 * len(shares)  # train, validation, published
    assert page.count("<td>7</td>") == 3 * len(shares)  # seconds, parameters, new features
    assert "<td>97.0</td><td>95.5</td>" in page
    assert "<td>92.0</td><td></td>" in page


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
        "size_355M", "GPT-2 medium", "not fetched", "84.7", "", "",
    ]  # fmt: skip
    width = sum(int((re.findall(r'colspan="(\d+)"', tag) or [1])[0]) for tag, _ in cells)
    [other] = [line for line in page.splitlines() if "<code>x</code>" in line]
    assert width == other.count("<td")
    assert "not fetched" not in other


def test_a_class_named_total_or_as_html_is_shown_as_text() -> None:
    labels = ["total", "</script><b>spam</b>"]
    values = context(labels=tuple(labels))
    counts = {"total": 17, "total (class)": 8, labels[1]: 9}
    values["data"] |= {"messages": counts, "splits": {"test": counts}}
    page = render_report(values, AnyPicture())
    assert "<b>spam</b>" not in page
    assert "<strong>150 &lt;/script&gt;&lt;b&gt;spam&lt;/b&gt; are found</strong>" in page
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


def test_the_folds_say_what_to_do_and_what_they_are() -> None:
    text = text_of(render_report(context(), AnyPicture()))
    start = text.index("Cross-validation, at the natural rate")
    section = text[start : text.index("The same 16 test messages")]
    assert "gpt2-mini is better than the baseline by the folds" in section
    assert "So take the classifier." in section
    assert "recall (spam caught, SC)73.3 %" in section
    assert "false-positive rate (blocked ham, BH)0.0 %" in section
    assert "Each of 180 messages was tested" in section
    assert "testing is at the natural rate" in section
    assert CAPTIONS["cross_validate/folds"] in section


def test_the_page_does_without_folds() -> None:
    values = context()
    assert "Cross-validation" in text_of(render_report(values, AnyPicture()))
    values["cross_validation"] = None
    without = render_report(values, AnyPicture())
    del values["cross_validation"]
    assert render_report(values, AnyPicture()) == without
    assert "Cross-validation" not in text_of(without)


def test_the_page_begins_with_the_verdict_of_the_folds_where_there_are_some() -> None:
    """They are of all messages, the test set of a few."""
    given = context()
    by_folds, by_test = given["cross_validation"]["summary"], given["comparison"]["test"]["summary"]
    start = text_of(render_report(given, AnyPicture())).partition("Results")[0]
    assert by_folds in start
    assert by_test not in start
    given["cross_validation"] = None
    assert by_test in text_of(render_report(given, AnyPicture())).partition("Results")[0]


def elsewhere(**changes: Any) -> dict[str, Any]:
    """What metrics/external.json says of one file."""
    gpt2 = {"accuracy": 0.87, "recall": 0.99, "false_positive_rate": 0.9}
    baseline = gpt2 | {"accuracy": 0.93}
    intervals = {"intervals": {figure: [0.8, 0.95] for figure in gpt2}}
    gpt2["decision"] = {"recall": 0.94, "false_positive_rate": 0.2} | intervals
    drift = {"unseen_tokens": 0.034, "tokens_mean": 45.2, "confidence_mean": 0.918}
    return {
        "read": 5971, "messages": 882, "gpt2": gpt2 | intervals, "baseline": baseline | intervals,
        "drift": {"external": drift, "own_test": drift | {"unseen_tokens": 0.017}},
    } | changes  # fmt: skip


def test_messages_from_elsewhere_have_their_figures_and_what_to_do() -> None:
    given = context()
    assert "from elsewhere" not in text_of(render_report(given, AnyPicture()))
    given["external"]["files"] = {"mine": elsewhere(), "nothing_new": {"read": 7, "messages": 0}}
    pictures = AnyPicture() | {"external/external": PNG}
    page = text_of(render_report(given, pictures))
    assert "mine882 of 5,97187 % (80 to 95 %)93 % (80 to 95 %)94 % (80 to 95 %)20 %" in page
    assert "3.4 % of the tokens stand in no training message (own test: 1.7 %)" in page
    assert "a message has 45 of them on average (45)" in page
    assert "is 92 % sure (92 %) and right in 87 % (94 %)" in page
    assert "nothing_new0 of 7" in page
    assert "label some of these messages and train on them" in page


def test_of_one_class_alone_there_is_no_rate_of_the_other() -> None:
    given = context()
    file = elsewhere()
    del file["gpt2"]["decision"]["false_positive_rate"]
    given["external"]["files"] = {"spam_only": file}
    page = text_of(render_report(given, AnyPicture() | {"external/external": PNG}))
    assert "94 % (80 to 95 %) spam_only: 3.4 %" in page


def test_robustness_says_what_is_undone_or_that_it_can_be() -> None:
    given = context()
    assert "classifier.fold undoes it" in text_of(render_report(given, AnyPicture()))
    given["params"]["classifier"]["fold"] = ["characters", "case"]
    page = text_of(render_report(given, AnyPicture()))
    assert "Undone before a text is read: characters, case." in page
