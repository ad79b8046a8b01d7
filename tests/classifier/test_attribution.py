"""Scores against the plain model, one shortened message after the other, and sane tokens."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiktoken
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained

from spam_gpt2.classifier.attribution import attribute, log_odds, shown, split_at_characters
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2

MAX_LENGTH = 24  # tokens, of the classifier in these tests
TEXT = "Win £1000 cash now! ok ok"
THREE = ["news", "ham", "spam"]


def trained(root: Path, gpt2: GPT2, **changes: object) -> tuple[GPT2Classifier, Predictor]:
    classifier = save_trained(root, gpt2, max_length=MAX_LENGTH, **changes)
    return classifier, Predictor.load(root / CLASSIFIER_DIR, root / WEIGHTS_DIR)


@torch.inference_mode()
def plain_log_odds(classifier: GPT2Classifier, tokens: list[int], pad_to: int, end: int) -> Tensor:
    """log(p / (1 - p)) of every class, (K,), of one message through the whole model."""
    tokens = tokens or [end]
    tokens = tokens + [end] * (pad_to - len(tokens))
    p = classifier(torch.tensor([tokens]), torch.tensor([len(tokens)]))[0].double().softmax(0)
    return (p / (1 - p)).log()


@pytest.mark.parametrize("labels", [["ham", "spam"], THREE])
@pytest.mark.parametrize("position", ["last_token", "last_padded", "mean_tokens"])
@pytest.mark.parametrize("text", [TEXT, "a", "Sorry I am late, the bus never came at all; " * 3])
def test_a_score_is_what_the_log_odds_fall_by_without_the_token(
    tmp_path: Path, tiny_gpt2: GPT2, labels: list[str], position: str, text: str
) -> None:
    padded = position.endswith("padded")
    classifier, predictor = trained(
        tmp_path, tiny_gpt2, labels=labels, position=position, pad=padded
    )
    tokenizer = predictor.tokenizer
    tokens = tokenizer.encode_ordinary(text)[:MAX_LENGTH]
    assert all(len(run) == 1 for run in split_at_characters(tokenizer, tokens))

    def odds(tokens: list[int]) -> Tensor:
        pad_to = MAX_LENGTH if padded else 0
        return plain_log_odds(classifier, tokens, pad_to, tokenizer.eot_token)

    attribution = attribute(predictor, text)
    assert attribution.parts == [tokenizer.decode([token]) for token in tokens]
    expected = [odds(tokens) - odds(tokens[:i] + tokens[i + 1 :]) for i in range(len(tokens))]
    torch.testing.assert_close(attribution.scores, torch.stack(expected), atol=1e-4, rtol=0)


def test_the_scores_of_two_classes_are_opposite(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    scores = attribute(predictor, TEXT).scores
    assert scores.abs().max() > 0.01
    torch.testing.assert_close(scores[:, 0], -scores[:, 1])


def test_an_empty_message_has_no_parts(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2)
    attribution = attribute(predictor, "")
    assert attribution.parts == []
    assert attribution.scores.shape == (0, 2)


def test_a_character_of_several_tokens_is_taken_out_whole(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier, predictor = trained(tmp_path, tiny_gpt2)
    before, after = "win ", " now"
    text = f"{before}\N{PARTY POPPER}{after}"
    assert len(tokenizer.encode_ordinary("\N{PARTY POPPER}")) > 1
    attribution = attribute(predictor, text)
    place = attribution.parts.index("\N{PARTY POPPER}")
    assert "".join(attribution.parts) == text
    tokens = tokenizer.encode_ordinary(text)
    without = tokenizer.encode_ordinary(before) + tokenizer.encode_ordinary(after)
    expected = plain_log_odds(classifier, tokens, 0, 0) - plain_log_odds(classifier, without, 0, 0)
    torch.testing.assert_close(attribution.scores[place], expected, atol=1e-4, rtol=0)


@given(st.text("ab £\n\N{PARTY POPPER}\N{HANGUL SYLLABLE HAN}ü", max_size=20))
def test_parts_are_whole_characters_and_the_whole_text(
    tokenizer: tiktoken.Encoding, text: str
) -> None:
    tokens = tokenizer.encode_ordinary(text)
    parts = split_at_characters(tokenizer, tokens)
    assert sum(parts, []) == tokens  # noqa: RUF017
    assert "".join(shown(tokenizer, part) for part in parts) == text
    for part in parts:
        for end in range(1, len(part)):  # no shorter run is whole characters
            with pytest.raises(UnicodeDecodeError):
                tokenizer.decode_bytes(part[:end]).decode("utf-8")


def test_a_character_that_is_cut_off_shows_as_its_bytes(tokenizer: tiktoken.Encoding) -> None:
    tokens = tokenizer.encode_ordinary("ok\N{PARTY POPPER}")[:-1]
    parts = [shown(tokenizer, part) for part in split_at_characters(tokenizer, tokens)]
    assert parts[0] == "ok"
    assert "\\xf0\\x9f\\x8e\\x89".startswith(parts[1])
    assert len(parts) == 2


@pytest.mark.parametrize("n_classes", [2, 3, 5])
def test_log_odds_are_those_of_the_probabilities(n_classes: int) -> None:
    logits = torch.randn(20, n_classes, generator=torch.Generator().manual_seed(1)).double()
    torch.testing.assert_close(log_odds(logits), logits.softmax(1).logit())


def test_log_odds_of_certain_classes_are_no_infinity() -> None:
    odds = log_odds(torch.tensor([[900.0, -900.0]]))
    assert odds.tolist() == [[1800, -1800]]


def test_a_folded_text_is_explained_as_it_is_read(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    _, predictor = trained(tmp_path, tiny_gpt2, fold=["characters", "case"])
    found = attribute(predictor, "W\u0456n c\u0430\u200bsh")
    assert "".join(found.parts) == "win cash"
    torch.testing.assert_close(found.scores, attribute(predictor, "win cash").scores)
