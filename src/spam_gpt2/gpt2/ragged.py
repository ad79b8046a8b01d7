"""Messages that lie end to end, and how to get at each of them. Shapes as in `model.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

import torch
from torch import Tensor

# (messages, tokens in each of them), in the order that they lie: [(3, 17), (1, 20)] stands for
# three messages of 17 tokens, then one of 20.
Runs = list[tuple[int, int]]


def runs_of(lengths: Iterable[int]) -> Runs:
    """Runs of messages that lie end to end, from their lengths in order."""
    return [(len(list(same)), length) for length, same in groupby(lengths)]


def lengths_of(runs: Runs) -> list[int]:
    """Tokens in each message, (B,)."""
    return [length for count, length in runs for _ in range(count)]


def split_runs(x: Tensor, runs: Runs) -> list[Tensor]:
    """Flat messages, (N, D), as one (B, T, D) for each run of messages of one length."""
    parts = x.split([count * length for count, length in runs])
    return [part.unflatten(0, run) for part, run in zip(parts, runs, strict=True)]


def split_messages(x: Tensor, runs: Runs, count: int) -> Iterator[tuple[Tensor, Runs]]:
    """Flat messages, (N, D), by `count` at a time, each part with its own runs."""
    lengths = lengths_of(runs)
    groups = [lengths[i : i + count] for i in range(0, len(lengths), count)]
    for part, group in zip(x.split([sum(group) for group in groups]), groups, strict=True):
        yield part, runs_of(group)


def starts_and_lengths(runs: Runs) -> tuple[Tensor, Tensor]:
    """The row at which each message starts, and how many it has: (B,) each, on the processor."""
    lengths = torch.tensor(lengths_of(runs))
    return lengths.cumsum(0) - lengths, lengths


def positions_of(runs: Runs) -> Tensor:
    """The place of every token in its message, (N,), on the processor."""
    starts, lengths = starts_and_lengths(runs)
    return torch.arange(int(lengths.sum())) - starts.repeat_interleave(lengths)


def padded_rows(runs: Runs, width: int) -> Tensor:
    """The row of every token once messages are padded to `width` and flattened: (N,)."""
    _, lengths = starts_and_lengths(runs)
    first = torch.arange(len(lengths)) * width
    return positions_of(runs) + first.repeat_interleave(lengths)


def pad_runs(x: Tensor, runs: Runs, multiple: int = 1) -> tuple[Tensor, Tensor]:
    """Flat messages (N, D) side by side, (B, T, D), zeros behind; and where tokens are, (B, T).

    One copy by index: its gradient costs what the tokens cost, however many messages there are.

    Args:
        multiple: T is the longest message's length, or for several lengths the next multiple.
    """
    if len(runs) == 1:  # nothing to pad
        return x.unflatten(0, runs[0]), torch.ones(runs[0], dtype=torch.bool, device=x.device)
    _, lengths = starts_and_lengths(runs)
    shape = len(lengths), -(-int(lengths.max()) // multiple) * multiple
    rows = padded_rows(runs, shape[1]).to(x.device)
    padded = x.new_zeros(shape[0] * shape[1], x.shape[1]).index_copy(0, rows, x)
    is_token = torch.arange(shape[1], device=x.device) < lengths.to(x.device)[:, None]
    return padded.unflatten(0, shape), is_token


def pick_one(x: Tensor, runs: Runs, at: int) -> Tensor:
    """The first (`at` 0) or last (-1) token of each message: (N, D) to (B, D)."""
    starts, lengths = starts_and_lengths(runs)
    rows = starts if at == 0 else starts + lengths - 1
    return x[rows.to(x.device)]
