"""Text from the language model: greedy continuation, and perplexity."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from spam_gpt2.gpt2.model import GPT2

if TYPE_CHECKING:
    import tiktoken


@torch.inference_mode()
def continue_greedily(
    model: GPT2, tokenizer: tiktoken.Encoding, prompt: str, new_tokens: int
) -> str:
    """The most probable next token, `new_tokens` times over; returns what follows the prompt.

    A prompt longer than the context is cut on the left.
    """
    tokens = tokenizer.encode_ordinary(prompt)
    start = len(tokens)
    for _ in range(new_tokens):
        window = torch.tensor([tokens[-model.config.n_ctx :]])
        tokens.append(int(model(window)[0, -1].argmax()))
    return tokenizer.decode(tokens[start:])


@torch.inference_mode()
def perplexity(model: GPT2, tokenizer: tiktoken.Encoding, text: str) -> float:
    """exp of the mean cross-entropy of each next token of a text (Jurafsky & Martin, eq. 3.15).

    The text is cut to the model's context. Lower is better; n_vocab is what guessing reaches.
    """
    tokens = torch.tensor([tokenizer.encode_ordinary(text)[: model.config.n_ctx]])
    logits = model(tokens)
    return math.exp(F.cross_entropy(logits[0, :-1], tokens[0, 1:]).item())
