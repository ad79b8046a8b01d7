"""From a split's CSV to its features, with the model and the tokens that params.yaml asks for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiktoken
import torch

from spam_gpt2.artifacts import build_gpt2
from spam_gpt2.classifier import GPT2Classifier
from spam_gpt2.features import Features, extract_features
from spam_gpt2.files import read_json
from spam_gpt2.messages import encode_messages, resolve_max_length
from spam_gpt2.params import Params, fitting_blocks
from spam_gpt2.sms import read_split
from spam_gpt2.tokenizer import load_tokenizer
from spam_gpt2.weights import Origin

WEIGHTS_DIR = Path("models/gpt2")
PREPARED_DIR = Path("data/prepared")


@dataclass(frozen=True)
class Extraction:
    """The frozen model and how texts are cut, the same for every split."""

    classifier: GPT2Classifier
    tokenizer: tiktoken.Encoding
    labels: list[str]
    origin: Origin
    max_length: int
    pad: bool
    cut: int
    batch_tokens: int

    @classmethod
    def prepare(cls, params: Params) -> Extraction:
        """Load what extraction needs. Raises InputError when params do not fit the model."""
        gpt2, origin = build_gpt2(WEIGHTS_DIR, params.classifier.init, params.classifier.init_seed)
        blocks = fitting_blocks(params.finetune.trainable, gpt2.config.n_layer)
        reuses = params.finetune.reuse_frozen and params.finetune.trainable != "all"
        tokenizer = load_tokenizer(WEIGHTS_DIR)
        training_texts = read_split(PREPARED_DIR / "train.csv")["text"].tolist()
        position = params.classifier.position
        labels = read_json(PREPARED_DIR / "labels.json")
        return cls(
            classifier=GPT2Classifier(gpt2, len(labels), position, params.classifier.causal),
            tokenizer=tokenizer,
            labels=labels,
            origin=origin,
            max_length=resolve_max_length(
                params.classifier.max_length, position, gpt2.config.n_ctx, tokenizer, training_texts
            ),
            pad=position == "last_padded",
            cut=gpt2.config.n_layer - blocks if reuses else 0,
            batch_tokens=params.extract_features.batch_tokens,
        )

    def run(self, split_path: Path) -> Features:
        """Features of one split."""
        split = read_split(split_path)
        messages = encode_messages(
            self.tokenizer, split["text"].tolist(), self.max_length, pad=self.pad
        )
        labels = torch.tensor([self.labels.index(label) for label in split["label"]])
        return extract_features(self.classifier, messages, labels, self.cut, self.batch_tokens)

    def encoding(self) -> dict[str, Any]:
        """How the texts were cut, for those who read new ones with the trained classifier."""
        return {"max_length": self.max_length, "pad": self.pad}

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
            "at_max_length": int((lengths >= self.max_length).sum()),
        }
