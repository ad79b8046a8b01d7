"""A split's file becomes features that the next stage can load."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import tiktoken
import torch

from spam_gpt2.data.messages import write_split
from spam_gpt2.features.extraction import Extraction
from spam_gpt2.features.features import load_features, save_features
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
