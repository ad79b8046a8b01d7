"""What the page asks for, without the web: labels, the reasons for them, counts, corrections."""

from __future__ import annotations

import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from spam_gpt2.classifier.attribution import attribute
from spam_gpt2.classifier.decision import DECISION_DIR, Decision
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.console import say
from spam_gpt2.common.files import InputError
from spam_gpt2.common.text import visible
from spam_gpt2.data.feedback import FEEDBACK_PATH, add_feedback
from spam_gpt2.data.rows import text_rows
from spam_gpt2.data.table import Form
from spam_gpt2.evaluation.predictions import read_predictions

SCORED = {  # what the slider counts on
    "test": Path("data/predictions/gpt2/test.csv"),
    "holdout": Path("data/predictions/holdout.csv"),
}
LONGEST = 20_000  # characters of a message; no phone sends a hundredth
EXPLAINED = 128  # tokens: each is left out once, so that the work grows with their square
MOST = 5_000  # messages of a file
KINDS = (".csv", ".tsv", ".tab", ".txt", ".json", ".jsonl", ".ndjson", ".parquet")


@dataclass
class Service:
    """A classifier that is ready, and what belongs to it."""

    predictor: Predictor
    threshold: float | None  # of two classes, the second above it; None: the most probable
    counts: dict[str, Any]  # sorted probabilities by split and by what the messages are
    feedback_path: Path = FEEDBACK_PATH
    _lock: threading.Lock = field(default_factory=threading.Lock)  # one message set at a time

    @property
    def labels(self) -> list[str]:
        """The classes in order."""
        return self.predictor.card.labels

    def state(self) -> dict[str, Any]:
        """What the page has to know before the first message."""
        return {
            "weights": self.predictor.card.weights,
            "trainable": self.predictor.card.trainable,
            "labels": self.labels,
            "threshold": self.threshold,
            "unsure_from": self.predictor.decision.unsure_from,
            "counts": self.counts,
            "feedback": self.feedback_path.as_posix(),
        }

    def classify(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """Label and probabilities of each text, and the text so that all of it can be seen.

        Raises: InputError for a text that is no message.
        """
        for text in texts:
            check_message(text)
        with self._lock:
            found = list(self.predictor.predict(texts))
        return [
            {
                "label": prediction.label,
                "probabilities": prediction.probabilities,
                "shown": _shown(text),
            }
            for text, prediction in zip(texts, found, strict=True)
        ]

    def explain(self, text: str) -> dict[str, Any]:
        """The parts of a text with what each adds to the log-odds of every class.

        Returns: parts, a list of shown and scores, and rest, which the model did not read.

        Raises: InputError for a text that is too long for it.
        """
        check_message(text)
        tokenizer, card = self.predictor.tokenizer, self.predictor.card
        every = tokenizer.encode_ordinary(text)
        tokens, rest = every[: card.max_length], every[card.max_length :]
        if len(tokens) > EXPLAINED:
            raise InputError(f"too long to colour: {len(tokens)} tokens, at most {EXPLAINED}")
        with self._lock:
            found = attribute(self.predictor, text)
        parts = zip(found.parts, found.scores.tolist(), strict=True)
        return {
            "parts": [{"shown": _shown(part), "scores": scores} for part, scores in parts],
            "rest": _shown(tokenizer.decode(rest)),
        }

    def correct(self, text: str, label: str) -> None:
        """Append a correction. Raises: InputError for another label or no message."""
        check_message(text)
        if not text.strip():
            raise InputError("an empty message has nothing to learn from")
        if label not in self.labels:
            raise InputError(f"label {label!r} is none of {', '.join(self.labels)}")
        add_feedback(self.feedback_path, text, label)


def load_service(
    classifier_dir: Path, weights_dir: Path, feedback_path: Path, threshold: float | None = None
) -> Service:
    """Everything that the page needs, from where the pipeline leaves it.

    Args:
        threshold: in place of the one that `calibrate` chose.

    Raises: InputError when the pipeline has not run.
    """
    decision_dir = classifier_dir.parent / DECISION_DIR.name
    predictor = Predictor.load(classifier_dir, weights_dir, decision_dir=decision_dir)
    labels = predictor.card.labels
    if len(labels) != 2:
        if threshold is not None:
            raise InputError(f"--threshold: is of two classes, and there are {len(labels)}")
        return Service(predictor, None, {}, feedback_path)
    decision = predictor.decision
    if threshold is not None:
        decision = replace(decision, threshold=threshold, unsure_from=None)
    elif decision.threshold is None:
        say("no threshold is saved: it is 0.5 (`make report` chooses one)")
        decision = replace(decision, threshold=0.5)
    predictor = replace(predictor, decision=decision)
    counts = read_counts(labels, decision)
    service = Service(predictor, decision.threshold, counts, feedback_path)
    service.explain("once")  # the first takes longer
    return service


def read_counts(labels: list[str], decision: Decision) -> dict[str, Any]:
    """By split and label, the decision's sorted probabilities of the second; empty without any."""
    found: dict[str, Any] = {}
    for name, path in SCORED.items():
        if not path.exists():
            say(f"{path}: no such file; the page counts nothing on it")
            continue
        messages, trained = read_predictions(path, labels)
        probabilities = decision.probabilities(np.log(trained.clip(np.finfo(float).tiny)))
        found[name] = [
            sorted(probabilities[(messages["label"] == label).to_numpy(), 1].tolist())
            for label in labels
        ]
    return found


def read_texts(content: bytes, kind: str) -> list[str]:
    """The texts of a file in any form that `python -m spam_gpt2 --csv` reads.

    Args:
        kind: the ending of its name.

    Raises: InputError for what cannot be read, or more than `MOST` messages.
    """
    path = Path(f"the file{kind}" if kind in KINDS else "the file.csv")
    form = Form(other_delimiter=",", option=_option)
    file = io.BufferedReader(io.BytesIO(content))
    rows = text_rows(file, path, form, advice="name the column of the texts `text`")
    next(rows)
    texts = [text for _, text in islice(rows, MOST + 1)]
    if len(texts) > MOST:
        more = "`python -m spam_gpt2 --csv` takes any number"
        raise InputError(f"more than {MOST:,} messages; {more}")
    return texts


def _option(name: str, value: str) -> str:
    if name == "encoding":
        return "save it as UTF-8"
    return "save it with commas between the columns"


def check_message(text: str) -> None:
    """Refuse what is no message. Raises: InputError."""
    if len(text) > LONGEST:
        raise InputError(f"a message of {len(text):,} characters; at most {LONGEST:,}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise InputError("half a character (a lone surrogate) in a message") from None


def _shown(text: str) -> str:
    return visible(text, keep="\t\n\r")
