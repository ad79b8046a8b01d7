"""Frozen weights in the order that oneDNN's kernels read, for models that only answer.

oneDNN brings weights into blocks that fit the processor's registers and cache, at every product,
unless they are stored so. It also adds the bias and computes GELU while a result is still at hand.
On an AVX-512 processor a block then takes 0.85 of the time (`make bench`). The kernels are those
that torch.compile uses; torch gives them no public name, so `packing_works` tries them first.
"""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spam_gpt2.gpt2.mapped import release
from spam_gpt2.gpt2.model import Block, FeedForward, Linear

ROWS = 1024  # in a typical product, for which oneDNN chooses the order
FEW = 256  # rows, of one message or a few: their products take less time than packing does
TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}


class PackedLinear(nn.Module):
    """W x + b, and with `gelu` its tanh GELU, by packed weights. It gives no gradients.

    Weights are packed when more than a few rows have come: not for one message, and never in blocks
    below cached features.
    """

    def __init__(self, linear: Linear, *, gelu: bool = False) -> None:
        super().__init__()
        self.linear: Linear | None = linear
        self.gelu = gelu
        self.rows = 0  # that came so far

    def forward(self, x: Tensor) -> Tensor:
        """(N, in) to (N, out)."""
        assert not (torch.is_grad_enabled() and x.requires_grad), "packed weights: no gradients"
        if self.linear is not None:
            self.rows += len(x)
            if self.rows <= FEW:
                y = self.linear(x)
                return F.gelu(y, approximate="tanh") if self.gelu else y
            self._pack(self.linear)
        x = x.to(self.bias.dtype)
        after = ("gelu", [], "tanh") if self.gelu else ("none", [], "")
        return torch.ops.mkldnn._linear_pointwise(x, self.packed, self.bias, *after)

    def _pack(self, linear: Linear) -> None:
        dtype = linear.compute_dtype or linear.weight.dtype
        weight = linear.weight.detach().to(dtype)
        self.packed = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        self.bias = linear.bias.detach().to(dtype)
        self.linear = None  # the weights as they were are let go
        release(linear.weight)


class PackedFeedForward(nn.Module):
    """`FeedForward` by packed weights."""

    def __init__(self, mlp: FeedForward) -> None:
        super().__init__()
        self.c_fc = PackedLinear(mlp.c_fc, gelu=True)
        self.c_proj = PackedLinear(mlp.c_proj)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) to (N, D)."""
        return self.c_proj(self.c_fc(x))


def pack(model: nn.Module) -> None:
    """Have every block of a frozen model pack itself, in place.

    Query, key and value weights of the last block stay as they are: `from_one` reads them.
    """
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    for block in blocks:
        if block is not blocks[-1] and type(block.attn.c_attn) is Linear:
            block.attn.c_attn = PackedLinear(block.attn.c_attn)
        if type(block.attn.c_proj) is Linear:  # and no adapter
            block.attn.c_proj = PackedLinear(block.attn.c_proj)
            block.mlp = PackedFeedForward(block.mlp)


@cache
def packing_works(dtype: torch.dtype) -> bool:
    """Whether this torch has the kernels, and they compute what they should on this processor."""
    linear = Linear(64, 96).requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for parameter in linear.parameters():
        nn.init.normal_(parameter, generator=generator)
    x = torch.randn(FEW + 1, 64, generator=generator)
    product = F.linear(x.double(), linear.weight.double(), linear.bias.double())
    exact = F.gelu(product, approximate="tanh")
    linear.compute_dtype = dtype
    try:
        with torch.inference_mode():
            found = PackedLinear(linear, gelu=True)(x)
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return float((found - exact).abs().max() / exact.abs().max()) < TOLERANCES[dtype]
