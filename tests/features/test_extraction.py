"""A split's file becomes features that the next stage can load."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import tiktoken
import torch

from spam_gpt2.data.messages import write_split
from spam_gpt2.features.extraction import Extraction
from spam_gpt2.features.features import Features, load_features, save_features
from spam_gpt2.features.plan import Plan
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import Origin
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2

TEXTS = ["Win £1000 cash", "see you", "see you", "ok"]


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("count", [0, len(TEXTS)])
def test_features_of_any_split_in_any_precision_are_read_back(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, precision: str, count: int
) -> None:
    """Classes of equal size leave no hold-out over: a file with a header alone."""
    labels = ["ham", "spam"]
    compute = Compute(torch.device("cpu"), precision, 1)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token", True)
    compute.place_frozen(classifier)
    plan = Plan(2, 24, False, True, "pretrained", None, None)
    origin = Origin("tiny", "0" * 64)
    extraction = Extraction(classifier, tokenizer, labels, origin, plan, 30, compute)
    table = {"line": range(1, 5), "label": ["spam", "ham", "ham", "ham"], "text": TEXTS}
    write_split(tmp_path / "split.csv", pd.DataFrame(table)[:count])
    made = extraction.run(tmp_path / "split.csv")
    save_features(tmp_path / "features", made)
    found = load_features(tmp_path / "features")
    assert found.labels.tolist() == [1, 0, 0, 0][:count]
    assert found.hidden.dtype == compute.dtype
    assert torch.equal(found.hidden, made.hidden)


def test_features_are_of_the_texts_as_the_plan_folds_them(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    compute = Compute(torch.device("cpu"), "float32", 1)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token", True)
    compute.place_frozen(classifier)
    disguised = ["W\u0456n c\u0430\u200bsh", "S E E you"]

    def run(texts: list[str], folds: list[str]) -> Features:
        plan = Plan(2, 24, False, True, "pretrained", None, None, folds)
        origin = Origin("tiny", "0" * 64)
        extraction = Extraction(classifier, tokenizer, ["ham", "spam"], origin, plan, 30, compute)
        table = {"line": [1, 2], "label": ["spam", "ham"], "text": texts}
        write_split(tmp_path / "split.csv", pd.DataFrame(table))
        return extraction.run(tmp_path / "split.csv")

    folded = run(disguised, ["characters", "spacing", "case"])
    expected = run(["win cash", "see you"], [])
    assert torch.equal(folded.messages.tokens, expected.messages.tokens)
    assert torch.equal(folded.hidden, expected.hidden)
    assert len(run(disguised, []).messages.tokens) > len(expected.messages.tokens)
