"""The probe asks what it says that it asks, and its report holds every answer."""

from __future__ import annotations

import dataclasses
import math

import pytest
import tiktoken
import torch
import torch.nn.functional as F
from conftest import MINI_DIR, ROOT, TINY

from spam_gpt2.gpt2.model import GPT2, gpt2_from_weights
from spam_gpt2.gpt2.probe import (
    EXPECTED_124M,
    NEW_TOKENS,
    PARAGRAPH,
    PROMPT,
    QUESTION,
    SHAPE_TEXT,
    Probe,
    probe,
    report,
)
from spam_gpt2.gpt2.tf_checkpoint import read_checkpoint
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import random_gpt2

REAL_DIR = ROOT.parent / "shared/data/gpt2-124M"
ANSWERS = Probe(
    continuation=" over\nthe fence",
    answer=" 'yes' or `no`",
    perplexity=123.456,
    random_perplexity=50123.4,
    shape_before=(1, 4, 50257),
    shape_after=(1, 4, 2),
)


@pytest.mark.parametrize("n_classes", [2, 5])
def test_the_head_is_replaced_and_nothing_else_changes_shape(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, n_classes: int
) -> None:
    T = len(tokenizer.encode_ordinary(SHAPE_TEXT))
    assert T > 1
    result = probe(tiny_gpt2, random_gpt2(TINY, 1), tokenizer, n_classes)
    assert result.shape_before == (1, T, TINY.n_vocab)
    assert result.shape_after == (1, T, n_classes)


@torch.inference_mode()
def step_by_step(model: GPT2, tokens: list[int]) -> list[int]:
    """The most probable next token, again and again."""
    tokens, start = list(tokens), len(tokens)
    for _ in range(NEW_TOKENS):
        tokens.append(int(model(torch.tensor([tokens[-model.config.n_ctx :]]))[0, -1].argmax()))
    return tokens[start:]


@torch.inference_mode()
def mean_surprise(model: GPT2, tokens: list[int]) -> float:
    """exp of the mean negative log-probability of each next token."""
    logs = F.log_softmax(model(torch.tensor([tokens]))[0], dim=1)
    taken = [-logs[i, token].item() for i, token in enumerate(tokens[1:])]
    return math.exp(sum(taken) / len(taken))


def test_every_question_is_put_to_the_model_it_is_meant_for(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    random = random_gpt2(TINY, seed=7)
    result = probe(tiny_gpt2, random, tokenizer, 2)
    encode = tokenizer.encode_ordinary
    assert result.continuation == tokenizer.decode(step_by_step(tiny_gpt2, encode(PROMPT)))
    assert result.answer == tokenizer.decode(step_by_step(tiny_gpt2, encode(QUESTION)))
    assert result.continuation != result.answer
    paragraph = encode(PARAGRAPH)[: TINY.n_ctx]
    expected = mean_surprise(tiny_gpt2, paragraph), mean_surprise(random, paragraph)
    assert expected[0] != pytest.approx(expected[1], rel=0.01)
    assert (result.perplexity, result.random_perplexity) == pytest.approx(expected, rel=1e-4)


def test_a_trained_model_knows_english_and_a_random_one_does_not() -> None:
    config, arrays = read_checkpoint(MINI_DIR)
    model = gpt2_from_weights(config, {name: torch.from_numpy(a) for name, a in arrays.items()})
    result = probe(model, random_gpt2(config, 1), load_tokenizer(MINI_DIR), 2)
    assert result.perplexity < config.n_vocab / 10
    assert result.random_perplexity > config.n_vocab / 2


@pytest.mark.skipif(not REAL_DIR.is_dir(), reason="no folder with GPT-2's own vocabulary")
def test_what_the_published_weights_say_is_as_long_as_what_is_asked_for() -> None:
    tokenizer = load_tokenizer(REAL_DIR)
    assert len(tokenizer.encode_ordinary(EXPECTED_124M)) == NEW_TOKENS
    assert len(tokenizer.encode_ordinary(SHAPE_TEXT)) == 4


def test_the_report_holds_every_answer() -> None:
    text = report(ANSWERS, "gpt2-mini")
    assert text.startswith("# Is it GPT-2? The weights gpt2-mini\n")
    assert '\n"Every effort moves you" goes on, greedily, by 15 tokens:\n' in text
    assert "\n> ' over\\nthe fence'\n" in text  # one line, whatever the model says
    assert "\n> \" 'yes' or `no`\"\n" in text
    assert "(lower is better): 123.5, and\n50123.4 with random weights" in text
    assert (
        '"Do you have time" comes out as 1×4×50257 from the output head, and as\n1×4×2 from' in text
    )
    assert "published weights" not in text  # of which these are none


@pytest.mark.parametrize(
    ("continuation", "verdict"),
    [(EXPECTED_124M, "This is what"), (EXPECTED_124M + ".", "This is NOT what")],
)
def test_the_report_says_whether_these_are_the_published_weights(
    continuation: str, verdict: str
) -> None:
    answers = dataclasses.replace(ANSWERS, continuation=continuation)
    assert f"\n{verdict} the published weights say.\n" in report(answers, "gpt2-124M")
