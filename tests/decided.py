"""A decision as `calibrate` saves it, for the tests of what follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spam_gpt2.classifier.decision import ChosenOn, SavedDecision, save_decision
from spam_gpt2.common.files import sha256_of

DECISION_DIR = Path("models/decision")


def save_decision_for(
    card_path: Path, decision_dir: Path, labels: list[str], **changes: Any
) -> SavedDecision:
    """Write `decision.json` for the classifier with a card; `changes` are fields of it."""
    values = {
        "labels": labels,
        "temperature": 1.0,
        "training_shares": [1 / len(labels)] * len(labels),
        "shares": [1 / len(labels)] * len(labels),
        "threshold": None,
        "unsure_from": None,
        "card_sha256": sha256_of(card_path),
        "chosen_on": ChosenOn("validation", [5] * len(labels), "0" * 64, "by hand"),
    }
    saved = SavedDecision(**values | changes)
    save_decision(decision_dir, saved)
    return saved
