"""A classifier's most confident mistakes, and what drove each of them."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import numpy as np
import pandas as pd

from spam_gpt2.classifier.attribution import attribute
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.markdown import code, table
from spam_gpt2.evaluation.predictions import Predicted, label_ids

SHOWN = 6  # tokens for and against a decision in the report


def confident_mistakes(predicted: Predicted, labels: list[str]) -> pd.DataFrame:
    """Messages that are taken for another class, the most certain first.

    Returns: columns line, label, predicted, probability (of what was predicted), text.
    """
    messages, probabilities = predicted
    best = probabilities.argmax(1)
    found = messages.assign(predicted=np.array(labels)[best], probability=probabilities.max(1))
    found = found[best != label_ids(messages, labels)]
    columns = ["line", "label", "predicted", "probability", "text"]
    return found[columns].sort_values("probability", ascending=False, kind="stable")


def explain(predictor: Predictor, mistakes: pd.DataFrame, tokens: int) -> dict[str, Any]:
    """Each mistake with the score of every token, and each class's `tokens` most telling tokens.

    A score is what a token adds to the log-odds: of the predicted class, or, as a mean over all
    places where it stands in these messages, of the class that it is listed for.
    """
    labels = predictor.card.labels
    explained, found = [], defaultdict(list)
    for mistake in mistakes.to_dict("records"):
        attribution = attribute(predictor, mistake["text"])
        scores = attribution.scores[:, labels.index(mistake["predicted"])].tolist()
        pairs = zip(attribution.parts, scores, strict=True)
        listed = [{"text": part, "score": round(score, 4)} for part, score in pairs]
        explained.append({**mistake, "tokens": listed})
        for part, of_classes in zip(attribution.parts, attribution.scores.numpy(), strict=True):
            found[part].append(of_classes)
    means = {part: np.mean(scores, axis=0) for part, scores in found.items()}
    telling = {}
    for k, label in enumerate(labels):
        best = sorted(means, key=lambda part: -means[part][k])[:tokens]
        telling[label] = [
            {"text": part, "score": round(float(means[part][k]), 4), "places": len(found[part])}
            for part in best
        ]
    return {"mistakes": explained, "tokens": telling}


def quoted(token: str) -> str:
    """A token so that its spaces and line ends can be seen."""
    return json.dumps(token, ensure_ascii=False)


def errors_report(weights: str, messages: int, mistakes: int, explained: dict[str, Any]) -> str:
    """Markdown of what `explain` found; `messages` and `mistakes` are how many there are in all."""
    head = f"""# Mistakes of {weights} on the test messages

{mistakes} of {messages} messages are taken for another class than theirs. Below are those that the
classifier is most certain of, each text once ({len(explained["mistakes"])} of them). A number
behind a token is what it adds to the log-odds of the predicted class: by how much they fall when it
is taken out of the message."""
    sections = [_section(i, mistake) for i, mistake in enumerate(explained["mistakes"], 1)]
    lists = [_telling_tokens(label, tokens) for label, tokens in explained["tokens"].items()]
    return "\n\n".join([head, *sections, *(lists if sections else [])]) + "\n"


def _section(number: int, mistake: dict[str, Any]) -> str:
    ranked = sorted(mistake["tokens"], key=lambda token: -token["score"])
    supporting = [token for token in ranked[:SHOWN] if token["score"] > 0]
    opposing = [token for token in ranked[: -SHOWN - 1 : -1] if token["score"] < 0]
    title = f"{code(mistake['label'])} taken for {code(mistake['predicted'])}"
    return f"""## {number}. {title}, {mistake["probability"]:.1%}

Line {mistake["line"]}: {code(mistake["text"])}

- for {code(mistake["predicted"])}: {_scores(supporting)}
- against: {_scores(opposing)}"""


def _scores(tokens: list[dict[str, Any]]) -> str:
    return " · ".join(f"{code(quoted(t['text']))} {t['score']:+.2f}" for t in tokens) or "nothing"


def _telling_tokens(label: str, tokens: list[dict[str, Any]]) -> str:
    rows = [[code(quoted(t["text"])), f"{t['score']:+.2f}", str(t["places"])] for t in tokens]
    title = f"## What speaks for {code(label)} in these messages"
    return f"{title}\n\n{table(['token', 'mean of log-odds', 'places'], rows)}"
