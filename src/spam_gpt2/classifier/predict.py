"""Classify texts with the trained model, as many as come, in memory that does not grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import tiktoken
import torch

from spam_gpt2.classifier.artifacts import CARD_FILE, Card, load_classifier
from spam_gpt2.classifier.decision import UNSURE_CLASS, Decision, as_trained, load_decision
from spam_gpt2.common.folding import fold_texts
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.features.features import BATCH_TOKENS
from spam_gpt2.gpt2.batching import concatenate, encode_messages, fill_up, token_batches
from spam_gpt2.gpt2.compute import Compute, find_device, has_bfloat16
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.tokenizer import load_tokenizer

CLASSIFIER_DIR = Path("models/classifier")
WEIGHTS_DIR = Path("models/gpt2")
CHUNK = 512  # texts that are read ahead, sorted by length and shared out among batches


@dataclass(frozen=True)
class Prediction:
    """The label of a text, its probability, and that of every label in order.

    The label is the decision's, so it need not be the most probable one. A text left `unsure` has
    the probability of the more probable label.
    """

    label: str
    probability: float
    probabilities: list[float]


@dataclass(frozen=True)
class Predictor:
    """A trained classifier that is ready to read text."""

    classifier: GPT2Classifier
    tokenizer: tiktoken.Encoding
    card: Card
    decision: Decision

    @classmethod
    def load(
        cls,
        classifier_dir: Path = CLASSIFIER_DIR,
        weights_dir: Path = WEIGHTS_DIR,
        settings: ComputeSettings | None = None,
        decision_dir: Path | None = None,
    ) -> Predictor:
        """Load from the folders that the pipeline writes.

        Args:
            settings: where and how it computes; None is the best device, in the precision that the
                classifier was trained in.
            decision_dir: folder of the saved decision. Where it is None or holds no decision, the
                most probable label is given, with the probabilities as trained.

        Raises: InputError when the pipeline has not run, or for another classifier's decision.
        """
        classifier, card = load_classifier(classifier_dir, weights_dir)
        saved = None
        if decision_dir is not None:
            saved = load_decision(decision_dir, classifier_dir / CARD_FILE, card.labels)
        Compute.start(settings or best_for(card)).place_frozen(classifier)
        tokenizer = load_tokenizer(weights_dir, classifier.gpt2.config.n_vocab)
        return cls(classifier, tokenizer, card, saved or as_trained(card.labels))

    def predict(self, texts: Iterable[str]) -> Iterator[Prediction]:
        """A prediction for each text, in order; reads no more than a chunk ahead.

        Raises: TypeError for a text by itself, which would be read letter by letter.
        """
        if isinstance(texts, str):
            raise TypeError(f"expected a list of texts, not one: predict([{texts[:20]!r}])")
        return self._predict(texts)

    def _predict(self, texts: Iterable[str]) -> Iterator[Prediction]:
        remaining = iter(texts)
        while chunk := list(islice(remaining, CHUNK)):
            yield from self._predict_chunk(chunk)

    def _predict_chunk(self, texts: list[str]) -> Iterator[Prediction]:
        card = self.card
        texts = fold_texts(texts, card.fold)
        messages = encode_messages(self.tokenizer, texts, card.max_length, pad=card.pad)
        logits = torch.empty(len(messages.lengths), len(card.labels))
        with torch.inference_mode():
            for indices in token_batches(messages.lengths, BATCH_TOKENS):
                tokens, runs = concatenate(messages.tokens, messages.offsets, indices)
                tokens, runs = fill_up(tokens, runs, BATCH_TOKENS)
                x = self.classifier.gpt2.embed(tokens.to(self.classifier.device), runs)
                logits[indices] = self.classifier.above(x, runs, 0)[: len(indices)].cpu()
        logs = logits.double().log_softmax(1)[messages.rows].numpy()
        probabilities = self.decision.probabilities(logs)
        classes = self.decision.classes(probabilities)
        for class_id, row in zip(classes.tolist(), probabilities.tolist(), strict=True):
            of_label = max(row) if class_id == UNSURE_CLASS else row[class_id]
            yield Prediction(self.decision.label(class_id), of_label, row)


@lru_cache(maxsize=1)
def shared_predictor(
    classifier_dir: Path, weights_dir: Path, decision_dir: Path | None
) -> Predictor:
    """As `Predictor.load`; who asks again for the same folders gets the same, as it is in memory.

    A worker of Spark loads a served model anew for every task, of which it runs many.
    """
    return Predictor.load(classifier_dir, weights_dir, decision_dir=decision_dir)


def best_for(card: Card) -> ComputeSettings:
    """Where and how a classifier answers when nobody says; float32 where bfloat16 is slow."""
    is_slow = find_device("auto").type == "cpu" and not has_bfloat16()
    precision = "float32" if is_slow else card.precision
    return ComputeSettings(device="auto", precision=precision, threads=None)
