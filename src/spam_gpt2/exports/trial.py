"""What an export is held against: the classifier here, and its answers to the test set."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spam_gpt2.classifier.predict import CLASSIFIER_DIR, WEIGHTS_DIR, Predictor
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.data.messages import read_split
from spam_gpt2.exports.fresh import our_logits
from spam_gpt2.gpt2.batching import Messages, encode_messages

TEST_PATH = Path("data/prepared/test.csv")


@dataclass(frozen=True)
class Trial:
    """The classifier, in float32 on the processor, and its answers to the test set."""

    predictor: Predictor
    texts: list[str]
    messages: Messages
    logits: np.ndarray

    @classmethod
    def load(cls) -> Trial:
        """Raises: InputError when the pipeline has not run."""
        texts = list(read_split(TEST_PATH)["text"])
        settings = ComputeSettings(device="cpu", precision="float32", threads=None)
        predictor = Predictor.load(CLASSIFIER_DIR, WEIGHTS_DIR, settings)
        card = predictor.card
        messages = encode_messages(predictor.tokenizer, texts, card.max_length, pad=card.pad)
        return cls(predictor, texts, messages, our_logits(predictor.classifier, messages))

    def flips(self, logits: np.ndarray) -> int:
        """How many messages get another label."""
        return int((logits.argmax(1) != self.logits.argmax(1)).sum())
