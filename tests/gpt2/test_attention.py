"""Every way to attend gives the textbook's sums, and the same gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from spam_gpt2.gpt2.attention import SHORT, attend, by_length, end_to_end, has_end_to_end, padded
from spam_gpt2.gpt2.ragged import Runs, runs_of

H, D = 2, 8
LENGTHS = {
    "one": [5],
    "of one length": [4, 4, 4],
    "mixed": [3, 7, 7, 1, 2],
    "long beside short": [SHORT + 9, 2, 2],
}
every_batch = pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS)
either_mask = pytest.mark.parametrize("causal", [True, False])


def make_qkv(lengths: list[int], dtype: torch.dtype = torch.float32) -> tuple[Tensor, Runs]:
    generator = torch.Generator().manual_seed(7)
    qkv = torch.randn(sum(lengths), 3 * D, generator=generator, dtype=torch.float64)
    return qkv.to(dtype), runs_of(lengths)


def by_hand(qkv: Tensor, lengths: list[int], causal: bool) -> Tensor:
    """Vaswani et al. 2017, eq. 1, one token and one head at a time, in float64."""
    rows = []
    for message in qkv.double().split(lengths):
        q, k, v = (part.unflatten(1, (H, D // H)) for part in message.split(D, dim=1))
        for i in range(len(message)):
            last = i + 1 if causal else len(message)
            heads = []
            for h in range(H):
                scores = torch.stack([q[i, h] @ k[j, h] for j in range(last)]) / (D / H) ** 0.5
                weights = scores.exp() / scores.exp().sum()
                heads.append(sum(weights[j] * v[j, h] for j in range(last)))
            rows.append(torch.cat(heads))
    return torch.stack(rows)


@every_batch
@either_mask
@pytest.mark.parametrize("way", [by_length, padded, attend])
def test_it_is_the_textbooks_sum(way, lengths: list[int], causal: bool) -> None:
    qkv, runs = make_qkv(lengths)
    expected = by_hand(qkv, lengths, causal)
    torch.testing.assert_close(way(qkv, runs, H, causal).double(), expected, atol=2e-6, rtol=1e-5)


@every_batch
@either_mask
def test_both_ways_have_the_same_gradient(lengths: list[int], causal: bool) -> None:
    gradients = []
    for way in (by_length, padded):
        qkv, runs = make_qkv(lengths)
        qkv.requires_grad_(True)
        weights = torch.arange(1, D + 1.0)
        (way(qkv, runs, H, causal) * weights).sum().backward()
        gradients.append(qkv.grad)
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-4)


@either_mask
def test_other_devices_get_their_own_tensors(causal: bool) -> None:
    """A tensor that is made on the processor by mistake would not go with those of `meta`."""
    qkv, runs = make_qkv(LENGTHS["mixed"])
    found = attend(qkv.to("meta"), runs, H, causal)
    assert (found.device.type, found.shape) == ("meta", (sum(LENGTHS["mixed"]), D))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_batch
@either_mask
def test_on_a_gpu_it_is_the_same(lengths: list[int], causal: bool) -> None:
    qkv, runs = make_qkv(lengths)
    expected = by_hand(qkv, lengths, causal)
    found = attend(qkv.cuda(), runs, H, causal).cpu().double()
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    if has_end_to_end():
        half = end_to_end(qkv.cuda().bfloat16(), runs, H, causal).cpu().double()
        torch.testing.assert_close(half, expected, atol=3e-2, rtol=3e-2)
