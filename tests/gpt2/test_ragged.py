"""Flat messages, told apart by hand, and what padding them costs the gradient."""

from __future__ import annotations

import pytest
import torch
from torch.nn.utils.rnn import pad_sequence

from spam_gpt2.gpt2.ragged import (
    lengths_of,
    pad_runs,
    padded_rows,
    pick_one,
    positions_of,
    runs_of,
    split_messages,
    split_runs,
)

LENGTHS = [3, 2, 2, 4]
RUNS = [(1, 3), (2, 2), (1, 4)]


def test_places_by_hand() -> None:
    assert runs_of(LENGTHS) == RUNS
    assert lengths_of(RUNS) == LENGTHS
    assert positions_of(RUNS).tolist() == [0, 1, 2, 0, 1, 0, 1, 0, 1, 2, 3]
    assert padded_rows(RUNS, 4).tolist() == [0, 1, 2, 4, 5, 8, 9, 12, 13, 14, 15]
    x = torch.arange(11.0)[:, None]
    assert pick_one(x, RUNS, 0).flatten().tolist() == [0, 3, 5, 7]
    assert pick_one(x, RUNS, -1).flatten().tolist() == [2, 4, 6, 10]
    assert [part.shape[:2] for part in split_runs(x, RUNS)] == RUNS
    parts = [(part.flatten().tolist(), runs) for part, runs in split_messages(x, RUNS, 3)]
    assert parts == [([0, 1, 2, 3, 4, 5, 6], [(1, 3), (2, 2)]), ([7, 8, 9, 10], [(1, 4)])]


@pytest.mark.parametrize("lengths", [LENGTHS, [5], [1, 1, 1], list(range(1, 65))])
def test_padding_and_its_gradient_are_those_of_torch(lengths: list[int]) -> None:
    generator = torch.Generator().manual_seed(1)
    flat = torch.randn(sum(lengths), 6, generator=generator)
    found, expected = flat.clone().requires_grad_(), flat.clone().requires_grad_()
    ours, is_token = pad_runs(found, runs_of(lengths))
    theirs = pad_sequence(expected.split(lengths), batch_first=True)
    assert torch.equal(ours, theirs)
    assert is_token.sum(1).tolist() == lengths
    weights = torch.randn(theirs.shape, generator=generator)
    (ours * weights).sum().backward()
    (theirs * weights).sum().backward()
    assert torch.equal(found.grad, expected.grad)


@pytest.mark.parametrize(
    ("lengths", "multiple", "width"),
    [(LENGTHS, 4, 4), (LENGTHS, 3, 6), (LENGTHS, 32, 32), ([5, 33], 32, 64), ([7, 7], 32, 7)],
)
def test_a_width_is_rounded_up_where_anything_is_padded(
    lengths: list[int], multiple: int, width: int
) -> None:
    flat = torch.randn(sum(lengths), 6, generator=torch.Generator().manual_seed(1))
    padded, is_token = pad_runs(flat, runs_of(lengths), multiple)
    exact, _ = pad_runs(flat, runs_of(lengths))
    assert padded.shape == (len(lengths), width, 6)
    assert torch.equal(padded[:, : max(lengths)], exact)
    assert not padded[:, max(lengths) :].any()
    assert is_token.sum(1).tolist() == lengths


def test_the_gradient_of_padding_takes_as_many_operations_for_many_messages_as_for_few() -> None:
    """`pad_sequence` adds a whole zero batch for every message: the square of their number."""

    def operations(count: int) -> int:
        flat = torch.ones(3 * count, 4, requires_grad=True)
        padded, _ = pad_runs(flat, [(count, 3)])
        seen, waiting = set(), [padded.grad_fn]
        while waiting:
            node = waiting.pop()
            if node is not None and node not in seen:
                seen.add(node)
                waiting += [following for following, _ in node.next_functions]
        return len(seen)

    assert operations(512) == operations(2)
