"""Which tokens of a message drove the decision: those without which it would be another."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain

import tiktoken
import torch
from torch import Tensor

from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.common.folding import fold_text
from spam_gpt2.features.features import Features, all_logits
from spam_gpt2.gpt2.batching import pack_messages


@dataclass(frozen=True)
class Attribution:
    """The parts of a message, and what each adds to the log-odds of every class."""

    parts: list[str]
    scores: Tensor  # (P, K)


def attribute(predictor: Predictor, text: str) -> Attribution:
    """What taking out one part at a time takes from the log-odds of each class.

    Leave-one-out (Li et al. 2016, "Understanding neural networks through representation erasure"),
    measured in log-odds as by Robnik-Šikonja & Kononenko 2008. A part is a token, or the tokens
    that make up a character together: half a character is nothing that the model ever reads. What
    is beyond the model's longest message is no part. A text that is folded shows as it is read.
    """
    tokenizer, card = predictor.tokenizer, predictor.card
    tokens = tokenizer.encode_ordinary(fold_text(text, card.fold))[: card.max_length]
    parts = split_at_characters(tokenizer, tokens)
    without = [list(chain(*parts[:i], *parts[i + 1 :])) for i in range(len(parts))]
    messages = pack_messages([tokens, *without], tokenizer.eot_token, card.max_length, pad=card.pad)
    labels = torch.zeros(len(messages.rows), dtype=torch.int64)
    features = Features(messages, labels, 0, None, messages.offsets)
    odds = log_odds(all_logits(predictor.classifier, features).double())
    return Attribution([shown(tokenizer, part) for part in parts], odds[:1] - odds[1:])


def log_odds(logits: Tensor) -> Tensor:
    """Logarithm of p / (1 - p) for every class, (N, K) to (N, K), without leaving logarithms."""
    itself = torch.eye(logits.shape[1], dtype=torch.bool)
    others = logits[:, None, :].masked_fill(itself, -torch.inf)  # (N, K, K)
    return logits - others.logsumexp(2)


def split_at_characters(tokenizer: tiktoken.Encoding, tokens: list[int]) -> list[list[int]]:
    """The shortest runs of tokens that are whole characters; the last may lack some bytes."""
    parts: list[list[int]] = []
    open_part: list[int] = []
    for token in tokens:
        open_part.append(token)
        if _is_text(tokenizer.decode_bytes(open_part)):
            parts.append(open_part)
            open_part = []
    return [*parts, open_part] if open_part else parts


def shown(tokenizer: tiktoken.Encoding, tokens: list[int]) -> str:
    """Text of tokens; bytes that are no character as `\\xe2`."""
    return tokenizer.decode_bytes(tokens).decode("utf-8", errors="backslashreplace")


def _is_text(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
