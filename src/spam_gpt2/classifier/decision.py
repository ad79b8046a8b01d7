"""From probabilities to a label: the decision that `calibrate` chooses and saves."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import isclose
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from spam_gpt2.common.files import InputError, sha256_of, write_json
from spam_gpt2.common.validation import STRICT, Digest, Float, Labels, read_checked

DECISION_DIR = Path("models/decision")
DECISION_FILE = "decision.json"
REMEDY = "`dvc repro reports/dvc.yaml:calibrate`"
UNSURE, UNSURE_CLASS = "unsure", -1  # the label of a message for a person, and its class

Probability = Annotated[Float, Field(ge=0, le=1)]
Shares = Annotated[list[Annotated[Float, Field(gt=0, le=1)]], Field(min_length=2)]


class OtherClassifierError(InputError):
    """The decision was chosen for another classifier."""


@dataclass(frozen=True)
class Decision:
    """How the classifier's probabilities become a label.

    They are divided by the temperature as logits, then shifted from the classes' shares in training
    to those where messages come from. Of two classes, the second is the label above `threshold`,
    the first at most at `unsure_from`, and between the two it is `unsure`. Without a threshold, the
    most probable class is the label.

    Raises: InputError for values that do not go together.
    """

    __pydantic_config__ = STRICT

    labels: Labels
    temperature: Annotated[Float, Field(gt=0, le=1000)]
    training_shares: Shares  # of the classes, in order
    shares: Shares  # where messages come from: the prior
    threshold: Probability | None
    unsure_from: Probability | None  # None: no message is left unsure

    def __post_init__(self) -> None:
        for name in ("training_shares", "shares"):
            shares = getattr(self, name)
            if len(shares) != len(self.labels) or not isclose(sum(shares), 1, abs_tol=1e-6):
                raise InputError(f"{name}: must be one for each label, and sum to 1")
        if self.threshold is not None and len(self.labels) != 2:
            raise InputError(f"threshold: is of two classes, and there are {len(self.labels)}")
        if self.unsure_from is not None:
            if self.threshold is None or self.unsure_from > self.threshold:
                raise InputError("unsure_from: must be at most the threshold")
            if UNSURE in self.labels:
                raise InputError(f"unsure_from: a class is called {UNSURE}, too")

    def probabilities(self, log_probabilities: np.ndarray) -> np.ndarray:
        """Calibrated (Guo et al. 2017, eq. 9) and shifted to `shares`, (N, K).

        The shift is Saerens, Latinne & Decaestecker 2002, eq. 2.4: each class by the ratio of its
        shares, then divided by the sum.

        Args:
            log_probabilities: logarithms of the classifier's, or its logits, (N, K).
        """
        shift = np.log(self.shares) - np.log(self.training_shares)
        logits = log_probabilities / self.temperature + shift
        odds = np.exp(logits - logits.max(1, keepdims=True))
        return odds / odds.sum(1, keepdims=True)

    def classes(self, probabilities: np.ndarray) -> np.ndarray:
        """The class of each message, (N,) of int, or UNSURE_CLASS.

        Args:
            probabilities: as `probabilities` gives them, (N, K).
        """
        if self.threshold is None:
            return probabilities.argmax(1)
        positive = probabilities[:, 1]
        lower = self.threshold if self.unsure_from is None else self.unsure_from
        return np.where(positive > self.threshold, 1, np.where(positive > lower, UNSURE_CLASS, 0))

    def label(self, class_id: int) -> str:
        """The name of one of `classes`."""
        return UNSURE if class_id == UNSURE_CLASS else self.labels[class_id]


@dataclass(frozen=True)
class ChosenOn:
    """The messages that a decision was chosen on, and by which rule."""

    __pydantic_config__ = STRICT

    split: Literal["validation"]
    messages: Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=2)]  # a class
    sha256: Digest  # of the file of predictions
    rule: Annotated[str, Field(max_length=200)]


@dataclass(frozen=True)
class SavedDecision(Decision):
    """A decision, the classifier that it belongs to, and what it was chosen on."""

    card_sha256: Digest  # of the classifier's card, which holds the digest of its tensors
    chosen_on: ChosenOn


def as_trained(labels: list[str], threshold: float | None = None) -> Decision:
    """The classifier's own probabilities; the most probable class, or a threshold of two classes'.

    Raises: InputError for a threshold where there are more.
    """
    equal = [1 / len(labels)] * len(labels)
    return Decision(labels, 1.0, equal, equal, threshold, None)


def save_decision(decision_dir: Path, decision: SavedDecision) -> None:
    """Write `decision.json`, whole or not at all."""
    write_json(decision_dir / DECISION_FILE, asdict(decision))


def load_decision(decision_dir: Path, card_path: Path, labels: list[str]) -> SavedDecision | None:
    """The decision that was saved for the classifier with this card; None where there is no file.

    Raises: InputError for a file that is damaged, or that belongs to another classifier.
    """
    path = decision_dir / DECISION_FILE
    if not path.exists():
        return None
    what = "not a decision of this version"
    decision = read_checked(path, SavedDecision, what, f"; run {REMEDY}")
    if decision.card_sha256 != sha256_of(card_path) or decision.labels != labels:
        other = f"chosen for another classifier than the one in {card_path.parent}"
        raise OtherClassifierError(f"{path}: {other}; run {REMEDY}")
    return decision
