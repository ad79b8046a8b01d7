"""Messages as token ids in flat tensors, and how they are put into batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from spam_gpt2.gpt2.ragged import Runs, runs_of

if TYPE_CHECKING:
    import tiktoken


@dataclass(frozen=True)
class Messages:
    """Distinct messages end to end: message i is `tokens[offsets[i]:offsets[i + 1]]`.

    Identical messages are kept once; `rows` says for each of the original messages which it is.
    """

    tokens: Tensor  # (sum of T,) of int64
    offsets: Tensor  # (U + 1,) of int64, U distinct messages
    rows: Tensor  # (N,) of int64, N original messages

    @property
    def lengths(self) -> Tensor:
        """Tokens in each distinct message, (U,)."""
        return self.offsets.diff()


def encode_messages(
    tokenizer: tiktoken.Encoding,
    texts: Sequence[str],
    max_length: int,
    *,
    pad: bool = False,
) -> Messages:
    """Token ids of texts, cut to `max_length` tokens and, with `pad`, filled up to it.

    The filler is `<|endoftext|>`, GPT-2's only special token, as the tutorials use. An empty text
    is that one token, since a message needs a last token to decide at.
    """
    encoded = tokenizer.encode_ordinary_batch(list(texts), num_threads=2)
    return pack_messages(encoded, tokenizer.eot_token, max_length, pad=pad)


def pack_messages(
    encoded: Iterable[list[int]], filler: int, max_length: int, *, pad: bool = False
) -> Messages:
    """Messages that are token ids already, cut and filled up as by `encode_messages`."""
    distinct: dict[tuple[int, ...], int] = {}
    rows = []
    for tokens in encoded:
        tokens = tokens[:max_length] or [filler]
        if pad:
            tokens = tokens + [filler] * (max_length - len(tokens))
        rows.append(distinct.setdefault(tuple(tokens), len(distinct)))
    lengths = torch.tensor([0, *map(len, distinct)])
    flat = [token for tokens in distinct for token in tokens]
    return Messages(
        torch.tensor(flat, dtype=torch.int64),
        lengths.cumsum(0),
        torch.tensor(rows, dtype=torch.int64),
    )


def token_batches(lengths: Tensor, batch_tokens: int) -> Iterator[Tensor]:
    """Indices of messages, batch by batch, the longest first.

    Batches hold at most `batch_tokens` tokens, or one message. Sorted, messages of one length come
    together, so that attention has few runs; the longest first shows at once how much memory is
    needed.
    """
    batch: list[int] = []
    room = batch_tokens
    longest_first, indices = lengths.sort(descending=True, stable=True)
    for index, length in zip(indices.tolist(), longest_first.tolist(), strict=True):
        if batch and length > room:
            yield torch.tensor(batch)
            batch, room = [], batch_tokens
        batch.append(index)
        room -= length
    if batch:
        yield torch.tensor(batch)


def fill_up(tokens: Tensor, runs: Runs, batch_tokens: int) -> tuple[Tensor, Runs]:
    """A batch with one message more, so that nearly all batches have the same number of tokens.

    oneDNN makes kernels for every number that it meets, and keeps them: megabytes each. At most an
    eighth of the batch is added; one that lacks more, as the last may, stays as it is. What comes
    of the message that is added follows all else, and is to be cut off.

    Args:
        tokens: of the batch, (N,).
    """
    missing = batch_tokens - len(tokens)
    if not 0 < missing <= batch_tokens // 8 or missing > max(length for _, length in runs):
        return tokens, runs
    return torch.cat([tokens, tokens[:missing]]), [*runs, (1, missing)]


def rows_of(offsets: Tensor, indices: Tensor) -> tuple[Tensor, Runs]:
    """Which rows of a flat tensor are those of some messages, (N,), and how they divide."""
    starts, lengths = offsets[indices], offsets[indices + 1] - offsets[indices]
    ends = lengths.cumsum(0)
    rows = torch.arange(int(ends[-1])) + (starts - ends + lengths).repeat_interleave(lengths)
    return rows, runs_of(lengths.tolist())


def concatenate(flat: Tensor, offsets: Tensor, indices: Tensor) -> tuple[Tensor, Runs]:
    """Some messages of a flat tensor, end to end: (N, ...), and how they divide."""
    rows, runs = rows_of(offsets, indices)
    return flat[rows.to(flat.device)], runs


def pad(flat: Tensor, offsets: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
    """Messages side by side, padded on the right to the longest: (B, T) and lengths (B,).

    The padding holds whatever follows in `flat`: who reads it must look no further than the length.
    """
    starts, lengths = offsets[indices], offsets[indices + 1] - offsets[indices]
    positions = starts[:, None] + torch.arange(int(lengths.max()))
    return flat[positions.clamp_(max=len(flat) - 1).to(flat.device)], lengths.to(flat.device)
