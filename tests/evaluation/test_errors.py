"""The report names the right mistakes, and its scores are those of the attribution."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained

from spam_gpt2.classifier.attribution import attribute
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.evaluation.errors import confident_mistakes, errors_report, explain, quoted
from spam_gpt2.gpt2.model import GPT2

LABELS = ["ham", "spam"]
TEXTS = ["ok then", "Win £1000", "see you\nat `home`", "ok |"]


def predicted() -> tuple[pd.DataFrame, np.ndarray]:
    messages = pd.DataFrame(
        {"line": [3, 5, 8, 9], "label": ["ham", "spam", "ham", "spam"], "text": TEXTS}
    )
    return messages, np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])


@pytest.fixture
def predictor(tmp_path: Path, tiny_gpt2: GPT2) -> Predictor:
    save_trained(tmp_path, tiny_gpt2)
    return Predictor.load(tmp_path / CLASSIFIER_DIR, tmp_path / WEIGHTS_DIR)


def test_mistakes_come_in_order_of_certainty() -> None:
    mistakes = confident_mistakes(predicted(), LABELS)
    assert mistakes.to_dict("list") == {
        "line": [8, 9, 5],
        "label": ["ham", "spam", "spam"],
        "predicted": ["spam", "ham", "ham"],
        "probability": [0.8, 0.7, 0.6],
        "text": [TEXTS[2], TEXTS[3], TEXTS[1]],
    }


def test_scores_are_of_the_predicted_class(predictor: Predictor) -> None:
    mistakes = confident_mistakes(predicted(), LABELS)
    explained = explain(predictor, mistakes, 3)["mistakes"]
    assert [mistake["text"] for mistake in explained] == mistakes["text"].tolist()
    for mistake in explained:
        attribution = attribute(predictor, mistake["text"])
        assert [token["text"] for token in mistake["tokens"]] == attribution.parts
        column = LABELS.index(mistake["predicted"])
        expected = attribution.scores[:, column].tolist()
        assert [token["score"] for token in mistake["tokens"]] == pytest.approx(expected, abs=1e-4)


def test_telling_tokens_are_means_over_all_their_places(predictor: Predictor) -> None:
    mistakes = confident_mistakes(predicted(), LABELS)
    rows = [
        (part, *scores)
        for text in mistakes["text"]
        for attribution in [attribute(predictor, text)]
        for part, scores in zip(attribution.parts, attribution.scores.tolist(), strict=True)
    ]
    frame = pd.DataFrame(rows, columns=["text", *LABELS])
    means = frame.groupby("text")[LABELS].mean()
    counts = frame["text"].value_counts()
    telling = explain(predictor, mistakes, 3)["tokens"]
    assert list(telling) == LABELS
    for label, tokens in telling.items():
        best = means[label].nlargest(3)
        assert [token["text"] for token in tokens] == best.index.tolist()
        assert [token["score"] for token in tokens] == pytest.approx(best.tolist(), abs=1e-4)
        assert [token["places"] for token in tokens] == [counts[text] for text in best.index]


def test_the_report_shows_each_mistake_and_what_drove_it(predictor: Predictor) -> None:
    explained = explain(predictor, confident_mistakes(predicted(), LABELS), 3)
    report = errors_report("tiny", 4, 3, explained)
    assert report.startswith("# Mistakes of tiny on the test messages\n\n3 of 4 messages ")
    assert "## 1. `ham` taken for `spam`, 80.0%\n\nLine 8: `see you at 'home'`\n" in report
    assert "## 3. `spam` taken for `ham`, 60.0%\n\nLine 5: `Win £1000`\n" in report
    first = explained["mistakes"][0]["tokens"]
    strongest = max(first, key=lambda token: token["score"])
    assert f"- for `spam`: `{quoted(strongest['text'])}` {strongest['score']:+.2f}" in report
    weakest = min(first, key=lambda token: token["score"])
    text = quoted(weakest["text"]).replace("`", "'")
    assert f"- against: `{text}` {weakest['score']:+.2f}" in report
    for label in LABELS:
        token = explained["tokens"][label][0]
        text = quoted(token["text"]).replace("`", "'").replace("|", "\\|")
        assert f"| `{text}` | {token['score']:+.2f} | {token['places']} |" in report


def test_without_mistakes_there_is_nothing_to_explain(predictor: Predictor) -> None:
    messages, probabilities = predicted()
    right = messages.assign(label=np.array(LABELS)[probabilities.argmax(1)])
    explained = explain(predictor, confident_mistakes((right, probabilities), LABELS), 3)
    assert explained == {"mistakes": [], "tokens": {"ham": [], "spam": []}}
    report = errors_report("tiny", 4, 0, explained)
    assert "0 of 4 messages" in report
    assert "##" not in report


@pytest.mark.parametrize(
    ("token", "expected"), [(" free", '" free"'), ("\n", '"\\n"'), ("£", '"£"'), ('"', '"\\""')]
)
def test_a_quoted_token_shows_its_spaces(token: str, expected: str) -> None:
    assert quoted(token) == expected
