"""From a split's CSV to its features, with the model and the tokens that the plan says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiktoken
import torch

from spam_gpt2.common.folding import fold_texts
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.data.messages import read_split
from spam_gpt2.features.features import Features, extract_features
from spam_gpt2.features.plan import Plan, load_plan
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import Origin, read_config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import build_gpt2

WEIGHTS_DIR = Path("models/gpt2")
PREPARED_DIR = Path("data/prepared")


@dataclass(frozen=True)
class Extraction:
    """The frozen model and how texts are cut, the same for every split."""

    classifier: GPT2Classifier
    tokenizer: tiktoken.Encoding
    labels: list[str]
    origin: Origin
    plan: Plan
    batch_tokens: int
    compute: Compute

    @classmethod
    def prepare(cls, batch_tokens: int, settings: ComputeSettings) -> Extraction:
        """Load what the plan needs, where it is to compute."""
        compute = Compute.start(settings)
        config, _ = read_config(WEIGHTS_DIR)
        plan, labels = load_plan(config), read_labels()
        gpt2, origin = build_gpt2(WEIGHTS_DIR, plan.init, plan.init_seed)
        # Only where features depend on the position does the plan say which it is.
        position = plan.position or "last_token"
        classifier = GPT2Classifier(gpt2, len(labels), position, plan.causal)
        compute.place_frozen(classifier)
        tokenizer = load_tokenizer(WEIGHTS_DIR, config.n_vocab)
        return cls(classifier, tokenizer, labels, origin, plan, batch_tokens, compute)

    def run(self, split_path: Path) -> Features:
        """Features of one split."""
        split = read_split(split_path)
        texts = fold_texts(split["text"], self.plan.fold)
        messages = encode_messages(self.tokenizer, texts, self.plan.max_length, pad=self.plan.pad)
        ids = [self.labels.index(label) for label in split["label"]]
        labels = torch.tensor(ids, dtype=torch.int64)  # also where there are none
        return extract_features(
            self.classifier, messages, labels, self.plan.cut, self.batch_tokens, self.compute.dtype
        )

    def describe(self, features: Features) -> dict[str, Any]:
        """Token lengths of the messages as the model reads them."""
        lengths = features.messages.lengths[features.messages.rows].double()
        return {
            "messages": len(features),
            "distinct": len(features.messages.lengths),
            "tokens": int(lengths.sum()),
            "tokens_mean": round(lengths.mean().item(), 2),
            "tokens_median": lengths.median().item(),
            "tokens_longest": int(lengths.max()),
            "at_max_length": int((lengths >= self.plan.max_length).sum()),
        }
