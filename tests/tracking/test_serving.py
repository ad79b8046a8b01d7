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


@pytest.mark.parametrize("folds", [[], ["characters", "spacing", "case"]])
def test_a_disguised_message_is_answered_as_the_card_says(
    tmp_path: Path, tiny_gpt2: GPT2, folds: list[str]
) -> None:
    save_trained(tmp_path, tiny_gpt2, fold=folds)
    files = {CARD_FILE: CLASSIFIER_DIR / CARD_FILE, CONFIG_FILE: WEIGHTS_DIR / CONFIG_FILE}
    model = SpamClassifier()
    model.load_context(
        SimpleNamespace(artifacts={name: str(tmp_path / path) for name, path in files.items()})
    )
    texts = ["W\u0456n c\u0430\u200bsh n0w f r e e", "win cash now free"]
    one, two = model.predict(pd.DataFrame({"text": texts})).to_dict("records")
    assert (one == two) is bool(folds)


def test_what_folds_is_installed_where_it_is_served() -> None:
    assert "confusable-homoglyphs" in REQUIREMENTS
