"""Messages are cut, padded, kept once and put into batches without losing or mixing any."""

from __future__ import annotations

from itertools import pairwise

import pytest
import tiktoken
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_gpt2.gpt2.batching import (
    Messages,
    concatenate,
    encode_messages,
    fill_up,
    pack_messages,
    pad,
    token_batches,
)
from spam_gpt2.gpt2.ragged import lengths_of, runs_of, split_runs

TEXTS = ["Win cash now", "See you at home", "", "Win cash now", "ok", "\N{PARTY POPPER}" * 9]

some_lengths = st.lists(st.integers(1, 40), min_size=1, max_size=60)
some_texts = st.lists(st.text("ab £\n\N{SNOWMAN}", max_size=12), max_size=12)


def tokens_of(messages: Messages, row: int) -> list[int]:
    """The tokens of one of the original messages, counted by hand."""
    i = int(messages.rows[row])
    return messages.tokens.tolist()[int(messages.offsets[i]) : int(messages.offsets[i + 1])]


@settings(deadline=None)
@given(texts=some_texts, max_length=st.integers(1, 10))
def test_every_message_has_its_tokens(
    tokenizer: tiktoken.Encoding, texts: list[str], max_length: int
) -> None:
    messages = encode_messages(tokenizer, texts, max_length)
    assert len(messages.rows) == len(texts)
    for row, text in enumerate(texts):
        expected = tokenizer.encode_ordinary(text)[:max_length] or [tokenizer.eot_token]
        assert tokens_of(messages, row) == expected


@settings(deadline=None)
@given(texts=some_texts, max_length=st.integers(1, 10))
def test_padding_fills_every_message_up(
    tokenizer: tiktoken.Encoding, texts: list[str], max_length: int
) -> None:
    messages = encode_messages(tokenizer, texts, max_length, pad=True)
    for row, text in enumerate(texts):
        tokens = tokenizer.encode_ordinary(text)[:max_length]
        assert tokens_of(messages, row) == tokens + [tokenizer.eot_token] * (
            max_length - len(tokens)
        )


@settings(deadline=None)
@given(texts=some_texts, max_length=st.integers(1, 10), padded=st.booleans())
def test_messages_with_the_same_tokens_are_kept_once(
    tokenizer: tiktoken.Encoding, texts: list[str], max_length: int, padded: bool
) -> None:
    messages = encode_messages(tokenizer, texts, max_length, pad=padded)
    seen = [tuple(tokens_of(messages, row)) for row in range(len(texts))]
    assert len(messages.lengths) == len(set(seen))
    assert messages.lengths.sum() == len(messages.tokens) == sum(map(len, set(seen)))


def test_token_ids_are_packed_as_texts_are(tokenizer: tiktoken.Encoding) -> None:
    encoded = [[5, 6, 7], [], [5, 6, 7, 8], [9], [5, 6, 7]]
    messages = pack_messages(encoded, tokenizer.eot_token, 3)
    end = [tokenizer.eot_token]
    seen = [tokens_of(messages, row) for row in range(len(encoded))]
    assert seen == [[5, 6, 7], end, [5, 6, 7], [9], [5, 6, 7]]
    assert len(messages.lengths) == 3
    padded = pack_messages(encoded, tokenizer.eot_token, 3, pad=True)
    assert tokens_of(padded, 3) == [9, *end, *end]


def test_types_are_those_that_are_documented(tokenizer: tiktoken.Encoding) -> None:
    messages = encode_messages(tokenizer, TEXTS, 8)
    assert messages.rows.tolist() == [0, 1, 2, 0, 3, 4]
    assert messages.offsets[0] == 0
    assert messages.offsets[-1] == len(messages.tokens)
    for tensor in (messages.tokens, messages.offsets, messages.rows):
        assert tensor.dtype == torch.int64


def test_no_messages_are_no_error(tokenizer: tiktoken.Encoding) -> None:
    messages = encode_messages(tokenizer, [], 8)
    assert len(messages.rows) == len(messages.lengths) == len(messages.tokens) == 0
    assert list(token_batches(messages.lengths, 10)) == []


@settings(deadline=None)
@given(lengths=some_lengths, batch_tokens=st.integers(1, 100))
def test_batches_have_every_message_once_and_no_more_tokens_than_allowed(
    lengths: list[int], batch_tokens: int
) -> None:
    all_lengths = torch.tensor(lengths)
    batches = list(token_batches(all_lengths, batch_tokens))
    assert sorted(torch.cat(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or all_lengths[batch].sum() <= batch_tokens


@settings(deadline=None)
@given(lengths=some_lengths, batch_tokens=st.integers(1, 100))
def test_batches_are_full_and_the_longest_messages_come_first(
    lengths: list[int], batch_tokens: int
) -> None:
    all_lengths = torch.tensor(lengths)
    batches = list(token_batches(all_lengths, batch_tokens))
    assert all_lengths[torch.cat(batches)].tolist() == sorted(lengths, reverse=True)
    for batch, following in pairwise(batches):
        assert all_lengths[batch].sum() + all_lengths[following[0]] > batch_tokens


@st.composite
def flat_and_indices(draw: st.DrawFn) -> tuple[list[list[int]], list[int]]:
    """Messages of distinct numbers, and some of their indices, in any order and repeatedly."""
    numbers = iter(range(10**6))
    messages = [[next(numbers) for _ in range(length)] for length in draw(some_lengths)]
    return messages, draw(st.lists(st.integers(0, len(messages) - 1), min_size=1, max_size=20))


def flatten(messages: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    offsets = torch.tensor([0, *map(len, messages)]).cumsum(0)
    return torch.tensor([number for message in messages for number in message]), offsets


@settings(deadline=None)
@given(case=flat_and_indices())
def test_messages_are_concatenated_in_the_order_asked_for(
    case: tuple[list[list[int]], list[int]],
) -> None:
    messages, indices = case
    flat, offsets = flatten(messages)
    together, runs = concatenate(flat, offsets, torch.tensor(indices))
    assert together.tolist() == [number for i in indices for number in messages[i]]
    divided = [m.tolist() for run in split_runs(together[:, None], runs) for m in run[..., 0]]
    assert divided == [messages[i] for i in indices]


def test_rows_of_any_width_are_concatenated() -> None:
    flat = torch.arange(12.0).view(6, 2)
    rows, runs = concatenate(flat, torch.tensor([0, 1, 4, 6]), torch.tensor([2, 0]))
    assert rows.tolist() == [[8, 9], [10, 11], [0, 1]]
    assert runs == [(1, 2), (1, 1)]


@settings(deadline=None)
@given(case=flat_and_indices())
def test_messages_side_by_side_keep_their_tokens(
    case: tuple[list[list[int]], list[int]],
) -> None:
    messages, indices = case
    tokens, lengths = pad(*flatten(messages), torch.tensor(indices))
    assert lengths.tolist() == [len(messages[i]) for i in indices]
    assert tokens.shape == (len(indices), max(lengths))
    for row, i in enumerate(indices):
        assert tokens[row, : lengths[row]].tolist() == messages[i]


@pytest.mark.parametrize(
    ("lengths", "added"),
    [
        ([30, 30], [4]),  # to 64
        ([32, 32], []),  # full
        ([30, 20], []),  # more than an eighth is missing
        ([2] * 30, []),  # no message may become longer than those that are there
    ],
)
def test_a_batch_is_filled_up_by_a_message_behind_all_others(
    lengths: list[int], added: list[int]
) -> None:
    tokens = torch.arange(sum(lengths))
    filled, runs = fill_up(tokens, runs_of(lengths), 64)
    assert torch.equal(filled[: len(tokens)], tokens)
    assert lengths_of(runs) == lengths + added
    assert len(filled) == sum(lengths + added)
