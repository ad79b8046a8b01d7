"""The served model reads a text as its classifier was trained to."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained

from spam_gpt2.classifier.artifacts import CARD_FILE
from spam_gpt2.gpt2.config import CONFIG_FILE
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.tracking.registry import REQUIREMENTS
from spam_gpt2.tracking.serving import SpamClassifier


def loaded(root: Path) -> SpamClassifier:
    """A model on a finished pipeline's folders, as MLflow loads it."""
    files = {CARD_FILE: CLASSIFIER_DIR / CARD_FILE, CONFIG_FILE: WEIGHTS_DIR / CONFIG_FILE}
    model = SpamClassifier()
    model.load_context(
        SimpleNamespace(artifacts={name: str(root / path) for name, path in files.items()})
    )
    return model


@pytest.mark.parametrize("folds", [[], ["characters", "spacing", "case"]])
def test_a_disguised_message_is_answered_as_the_card_says(
    tmp_path: Path, tiny_gpt2: GPT2, folds: list[str]
) -> None:
    save_trained(tmp_path, tiny_gpt2, fold=folds)
    model = loaded(tmp_path)
    texts = ["W\u0456n c\u0430\u200bsh n0w f r e e", "win cash now free"]
    one, two = model.predict(pd.DataFrame({"text": texts})).to_dict("records")
    assert (one == two) is bool(folds)


def test_a_second_load_of_the_same_files_takes_what_is_in_memory(
    tmp_path: Path, tiny_gpt2: GPT2
) -> None:
    """A worker of Spark loads a model anew for every task."""
    for name in ("one", "other"):
        save_trained(tmp_path / name, tiny_gpt2)
    first = loaded(tmp_path / "one")
    assert loaded(tmp_path / "one").predictor is first.predictor
    assert loaded(tmp_path / "other").predictor is not first.predictor


def test_what_folds_is_installed_where_it_is_served() -> None:
    assert "confusable-homoglyphs" in REQUIREMENTS
