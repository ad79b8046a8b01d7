"""Small questions that show whether weights are GPT-2's, and whether they are weights at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from spam_gpt2.gpt2.generation import continue_greedily, perplexity
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2

if TYPE_CHECKING:
    import tiktoken

PROMPT = "Every effort moves you"
NEW_TOKENS = 15
# What the published 124M weights go on with.
EXPECTED_124M = " forward.\n\nThe first step is to understand the importance of your work"
QUESTION = (
    "Is the following text 'spam'? Answer with 'yes' or 'no': 'You are a winner you have been "
    "specially selected to receive $1000 cash or a $2000 award.'"
)
SHAPE_TEXT = "Do you have time"
PARAGRAPH = (
    "The old library stood at the corner of the market square, and on rainy afternoons it was the "
    "warmest place in town. Children came in after school to read by the long windows, while their "
    "parents finished work and shopped for dinner. Nobody was ever asked to leave before closing "
    "time, and most people knew the names of everyone who sat at the tables."
)


@dataclass(frozen=True)
class Probe:
    """The answers; shapes are (messages, tokens, outputs)."""

    continuation: str
    answer: str
    perplexity: float
    random_perplexity: float
    shape_before: tuple[int, ...]
    shape_after: tuple[int, ...]


def probe(model: GPT2, random: GPT2, tokenizer: tiktoken.Encoding, n_classes: int) -> Probe:
    """Ask a model everything; `random` is one of the same size with random weights."""
    tokens = torch.tensor([tokenizer.encode_ordinary(SHAPE_TEXT)])
    with torch.inference_mode():
        before = model(tokens)
        classifier = GPT2Classifier(model, n_classes, "last_token")
        x = model.embed(tokens.flatten(), runs := [tuple(tokens.shape)])
        after = classifier.head(model.ln_f(model.run_blocks(x, runs))).view(*tokens.shape, -1)
    return Probe(
        continuation=continue_greedily(model, tokenizer, PROMPT, NEW_TOKENS),
        answer=continue_greedily(model, tokenizer, QUESTION, NEW_TOKENS),
        perplexity=perplexity(model, tokenizer, PARAGRAPH),
        random_perplexity=perplexity(random, tokenizer, PARAGRAPH),
        shape_before=tuple(before.shape),
        shape_after=tuple(after.shape),
    )


def report(result: Probe, weights: str) -> str:
    """The answers as Markdown."""
    known = ""
    if weights == "gpt2-124M":
        same = result.continuation == EXPECTED_124M
        known = f"\nThis {'is' if same else 'is NOT'} what the published weights say.\n"
    return f"""# Is it GPT-2? The weights {weights}

"{PROMPT}" goes on, greedily, by {NEW_TOKENS} tokens:

> {result.continuation!r}
{known}
Asked without any training, {QUESTION!r}, it goes on:

> {result.answer!r}

Perplexity on a fixed paragraph of English (lower is better): {result.perplexity:.1f}, and
{result.random_perplexity:.1f} with random weights of the same size.

"{SHAPE_TEXT}" comes out as {_shape(result.shape_before)} from the output head, and as
{_shape(result.shape_after)} from the classification head that replaces it (messages, tokens,
outputs).
"""


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
