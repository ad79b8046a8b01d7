"""Continuations and perplexities are those of transformers' GPT-2 with the same weights."""

from __future__ import annotations

import math

import pytest
import tiktoken
import torch
from reference import reference_language_model

from spam_gpt2.gpt2.generation import continue_greedily, perplexity
from spam_gpt2.gpt2.model import GPT2

PROMPTS = ["Every effort moves you", "a", "Win £1000 now! \N{PARTY POPPER}", "Do you have time"]
LONG = "The old library stood at the corner of the market square, and it was warm. " * 10


@pytest.fixture
def lively_gpt2(tiny_gpt2: GPT2) -> GPT2:
    """The tiny model with weights so large that it goes on with ever other tokens, and surely so:
    where logits lie close together, rounding would decide."""
    with torch.no_grad():
        tiny_gpt2.wte.weight.mul_(5)
        for parameter in tiny_gpt2.h.parameters():
            parameter.mul_(10 if parameter.ndim == 2 else 1)
    return tiny_gpt2


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_greedy_continuation_is_that_of_transformers(
    lively_gpt2: GPT2, tokenizer: tiktoken.Encoding, prompt: str
) -> None:
    tokens = tokenizer.encode_ordinary(prompt)
    generated = reference_language_model(lively_gpt2).generate(
        torch.tensor([tokens]),
        attention_mask=torch.ones(1, len(tokens), dtype=torch.int64),
        max_new_tokens=20,
        do_sample=False,
        pad_token_id=0,
    )
    expected = generated[0, len(tokens) :].tolist()
    assert len(set(expected)) > 10
    assert continue_greedily(lively_gpt2, tokenizer, prompt, 20) == tokenizer.decode(expected)


def test_fewer_tokens_are_a_beginning_of_more(
    lively_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    longer = continue_greedily(lively_gpt2, tokenizer, PROMPTS[0], 8)
    for count in range(8):
        shorter = continue_greedily(lively_gpt2, tokenizer, PROMPTS[0], count).rstrip("\ufffd")
        assert longer.startswith(shorter)
    assert continue_greedily(lively_gpt2, tokenizer, PROMPTS[0], 0) == ""


@torch.inference_mode()
def test_beyond_the_context_only_the_last_tokens_are_seen(
    lively_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    """A prompt longer than the context, and one that grows beyond it."""
    n_ctx = lively_gpt2.config.n_ctx
    model = reference_language_model(lively_gpt2)
    long = tokenizer.encode_ordinary(LONG)
    for length in (n_ctx - 3, n_ctx, n_ctx + 1, len(long)):
        prompt = tokenizer.decode(long[:length])
        tokens = tokenizer.encode_ordinary(prompt)
        assert len(tokens) == length
        for _ in range(6):
            logits = model(torch.tensor([tokens[-n_ctx:]])).logits
            tokens.append(int(logits[0, -1].argmax()))
        expected = tokenizer.decode(tokens[length:])
        assert continue_greedily(lively_gpt2, tokenizer, prompt, 6) == expected


@torch.inference_mode()
def test_perplexity_is_the_exponential_of_transformers_loss(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    model = reference_language_model(tiny_gpt2)
    for text in ("Every effort moves you", "Do you have time", LONG[:100]):
        tokens = torch.tensor([tokenizer.encode_ordinary(text)])
        expected = math.exp(model(tokens, labels=tokens).loss.item())
        assert perplexity(tiny_gpt2, tokenizer, text) == pytest.approx(expected, rel=1e-4)


@torch.inference_mode()
def test_perplexity_is_of_what_fits_the_context(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    tokens = tokenizer.encode_ordinary(LONG)[: tiny_gpt2.config.n_ctx]
    first = torch.tensor([tokens])
    expected = math.exp(reference_language_model(tiny_gpt2)(first, labels=first).loss.item())
    assert perplexity(tiny_gpt2, tokenizer, LONG) == pytest.approx(expected, rel=1e-4)


def test_a_model_that_knows_nothing_is_as_perplexed_as_its_vocabulary_is_large(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    with torch.no_grad():
        tiny_gpt2.wte.weight.zero_()  # every next token as probable as any other
    assert perplexity(tiny_gpt2, tokenizer, LONG) == pytest.approx(4096, rel=1e-4)
