"""Attention within messages that lie end to end, by what is fastest where they are.

Shapes as in `model.py`; d is D / H, the width of a head. All ways compute the same: softmax(q . k /
sqrt(d)) v for every token over its message, or with `causal` over what came before (Vaswani et al.
2017, eq. 1).
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from spam_gpt2.gpt2.ragged import Runs, lengths_of, pad_runs, padded_rows, split_runs

# Up to so many tokens a processor is as fast with three plain products, and these keep their speed
# under `use_fast_products`, where torch's fused kernel becomes three times slower.
SHORT = 128
# Elements of queries that a processor pads in the time that it takes to start another run.
PADDED_IN_A_START = 60_000


def attend(qkv: Tensor, runs: Runs, n_head: int, causal: bool) -> Tensor:
    """Query, key and value of every token, (N, 3D), to what it gathers, (N, D)."""
    if qkv.device.type == "cpu" and not worth_padding(runs, qkv.shape[1] // 3):
        return by_length(qkv, runs, n_head, causal)
    if qkv.is_cuda and qkv.dtype != torch.float32 and has_end_to_end():
        return end_to_end(qkv, runs, n_head, causal)
    return padded(qkv, runs, n_head, causal)


def worth_padding(runs: Runs, width: int) -> bool:
    """Whether a processor is faster with one padded batch than with one run after the other."""
    longest = max(length for _, length in runs)
    elements = sum(count for count, _ in runs) * longest * width
    return longest <= SHORT and 1 < len(runs) and elements <= PADDED_IN_A_START * len(runs)


@cache
def has_end_to_end() -> bool:
    """Whether the GPU has the kernel, which is for half precision from Ampere on."""
    return torch.cuda.get_device_capability() >= (8, 0)


def by_length(qkv: Tensor, runs: Runs, n_head: int, causal: bool) -> Tensor:
    """Messages of one length at a time, without padding."""
    y = []
    for part in split_runs(qkv, runs):  # (B, T, 3D)
        q, k, v = _heads(part, n_head)  # each (B, H, T, d)
        if part.shape[1] <= SHORT:
            hidden = _later(part.shape[1], part.device) if causal else None
            attended = _plain(q, k, v, hidden)
        else:
            attended = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
        y.append(attended.transpose(1, 2).flatten(0, 1).flatten(1))
    return torch.cat(y)


def padded(qkv: Tensor, runs: Runs, n_head: int, causal: bool) -> Tensor:
    """All messages at once, padded to the longest: few kernels, each with much to do."""
    x, is_token = pad_runs(qkv, runs)  # (B, T, 3D), (B, T)
    q, k, v = _heads(x, n_head)  # each (B, H, T, d)
    # The causal mask hides the padding, too, since it lies behind.
    hidden = _later(x.shape[1], x.device) if causal else ~is_token[:, None, None]
    if x.device.type == "cpu":
        y = _plain(q, k, v, hidden)
    else:
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=~hidden)
    y = y.transpose(1, 2).flatten(0, 1).flatten(1)  # (B T, D)
    return y[padded_rows(runs, x.shape[1]).to(x.device)]


def end_to_end(qkv: Tensor, runs: Runs, n_head: int, causal: bool) -> Tensor:
    """All messages at once without padding, by the kernel that torch has for this on a GPU."""
    from torch.nn.attention.varlen import varlen_attn  # takes a second that others do not need

    lengths = lengths_of(runs)
    ends = torch.tensor([0, *lengths]).cumsum(0).to(qkv.device, torch.int32)
    q, k, v = qkv.unflatten(1, (3, n_head, -1)).unbind(1)  # each (N, H, d)
    window = (-1, 0) if causal else (-1, -1)
    y = varlen_attn(q, k, v, ends, ends, max(lengths), max(lengths), window_size=window)
    return y.flatten(1)


def _heads(qkv: Tensor, n_head: int) -> list[Tensor]:
    """(B, T, 3D) to query, key and value, (B, H, T, d) each."""
    return [t.unflatten(2, (n_head, -1)).transpose(1, 2) for t in qkv.chunk(3, dim=2)]


def _plain(q: Tensor, k: Tensor, v: Tensor, hidden: Tensor | None) -> Tensor:
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)  # (B, H, T, T)
    if hidden is not None:
        scores = scores.masked_fill(hidden, float("-inf"))
    return scores.softmax(3) @ v


def _later(length: int, device: torch.device) -> Tensor:
    """True where a token would look at one behind it, (T, T)."""
    return torch.ones(length, length, dtype=torch.bool, device=device).triu(1)
