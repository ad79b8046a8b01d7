"""The model card: a head that YAML reads, and figures that are those of the metrics."""

from __future__ import annotations

from typing import Any

import yaml
from calibrated import calibration
from conftest import ROOT
from markdown_it import MarkdownIt

from spam_gpt2.common.params import load_params
from spam_gpt2.reporting.model_card import model_card

FIGURES = ("accuracy", "precision", "recall", "f1", "roc_auc", "loss")


def card(
    weights: str = "gpt2-124M", labels: tuple[str, ...] = ("ham", "spam"), **prepare: Any
) -> str:
    side = {
        "test": dict.fromkeys(FIGURES, 0.9375),
        "test_intervals": {name: [0.9, 0.97] for name in FIGURES},
    }
    keys = [f"{label} (class)" if label == "total" else label for label in labels]
    counts = {"total": 302, **dict.fromkeys(keys, 151)}
    params = load_params(ROOT / "params.yaml").model_dump()
    params["prepare"] |= prepare
    return model_card(
        gpt2={"weights": weights, "weights_sha256": "ab" * 32, "labels": list(labels), **side},
        baseline={"model": "TF-IDF", **side},
        holdout={"weights": weights, "ham": {"messages": 4080, "false_positive_rate": 0.0556,
                                             "interval": [0.049, 0.063]}},
        data={"messages": {"total": 5574}, "splits": {"test": counts},
              "also_in_train": {"test": 0}},
        training={"trainable_parameters": 7089410, "device": "cuda", "precision": "bfloat16"},
        calibration=calibration(list(labels)),
        comparison={"test": {"summary": "No difference can be shown on 302 messages."}},
        params=params,
    )  # fmt: skip


def head_of(text: str) -> dict[str, Any]:
    start, head, _ = text.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(head)


def test_the_head_is_what_the_hub_reads() -> None:
    head = head_of(card())
    assert head["license"] == "mit"
    assert head["base_model"] == "openai-community/gpt2"
    assert head["pipeline_tag"] == "text-classification"
    [model] = head["model-index"]
    [result] = model["results"]
    assert result["task"]["type"] == "text-classification"
    assert {m["type"]: m["value"] for m in result["metrics"]} == dict.fromkeys(FIGURES[:-1], 0.9375)
    assert {"name", "type"} <= result["dataset"].keys()


def test_the_stand_in_is_never_called_gpt2() -> None:
    text = card("gpt2-mini")
    assert "is not GPT-2" in text
    assert "base_model" not in head_of(text)
    assert head_of(text)["license"] == "other"
    assert "OpenAI, modified MIT" not in text
    assert "is not GPT-2" not in card()
    assert "; on cuda, bfloat16)." in card()


def test_classes_of_any_name_are_shown_as_text() -> None:
    text = card(labels=("total", "</script><b>a|b</b>"))
    assert "| test | 151 | 151 | 302 |" in text
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<b>" not in html
    assert "<th>" in html or "<th " in html
    assert html.count("&lt;/script&gt;&lt;b&gt;a|b&lt;/b&gt;") == 8


def test_figures_come_with_their_intervals() -> None:
    text = card()
    assert "| accuracy | 94 % | 90 to 97 % | 94 % | 90 to 97 % |" in text
    assert "| loss | 0.94 | 0.90 to 0.97 |" in text
    assert "Of 4,080 further ham messages, 5.6 % are taken for another class (4.9 to 6.3 %)" in text
    assert "302 test messages, 0 of which stand in the training set" in text
    assert "| test | 151 | 151 | 302 |" in text


def test_how_often_the_classes_were_trained_on_is_told() -> None:
    assert "It was trained on as many messages of each class: " in card()
    assert "It was trained on each class as often as above: " in card(balance=False)
    assert "as many messages of each class" not in card(balance=False)


def test_the_decision_comes_first_then_what_it_rests_on_and_the_verdict() -> None:
    title, lead, basis, verdict, *_ = card().split("---\n\n", 1)[1].split("\n\n")
    assert title == "# SMS spam, classified by gpt2-124M"
    assert lead == (
        "At the threshold 0.9153, of 1,000 messages with 200 spam among them, **150 spam are "
        "caught** (120 to 170) and **8 ham are blocked** (4 to 16)."
    )
    assert basis.startswith("In brackets: 95 % intervals, from 400 ham and 100 spam of test and")
    assert verdict == "No difference can be shown on 302 messages."


def test_three_classes_are_a_list() -> None:
    text = card(labels=("ham", "news", "spam"))
    assert "Of 1,000 messages:\n\n- Of 800 ham, **792 are recognised** (784 to 796)" in text
    assert "\n- Of 200 spam, **150 are recognised** (120 to 170)" in text


def test_a_users_own_messages_are_not_called_the_collection() -> None:
    text, head = card(path="my/own.csv"), head_of(card(path="my/own.csv"))
    body = text.split("---\n", 2)[2]
    assert "SMS" not in text
    assert "English" not in text
    assert "£2000" not in text
    assert "`my/own.csv`" in body
    assert body.startswith("\n# Spam of own.csv, classified by gpt2-124M\n")
    assert "- own.csv: not known here; state it" in body
    assert "CC BY 4.0" not in body
    assert not {"datasets", "language"} & head.keys()
    assert head["license"] == "unknown"
    assert head["tags"] == ["spam", "gpt2", "pytorch"]
    assert head_of(card(path="own.csv", labels=("no", "yes")))["tags"] == ["gpt2", "pytorch"]
    assert "CC BY 4.0" in card()
    assert head_of(card())["tags"] == ["spam", "sms", "gpt2", "pytorch"]
    assert head_of(card())["language"] == "en"
