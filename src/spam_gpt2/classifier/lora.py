"""Low-rank adaptation: trained thin matrices beside frozen weights (Hu et al. 2021)."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import Linear


class AdaptedLinear(nn.Module):
    """W x + b + (alpha / rank) B A x, with A (rank, in) and B (out, rank) (eq. 3).

    B starts at zero, so that training starts from W. The product is added to the output and not to
    W: the gradient of a sum of weights has the size of W, and costs a third of a training step.
    Whoever reads `weight`, as `MultiHeadAttention.from_one` does, gets that sum all the same.
    """

    def __init__(self, linear: nn.Linear, rank: int, alpha: float) -> None:
        """A draws from torch's global generator, as `nn.Linear` does."""
        super().__init__()
        self.linear = linear
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.empty(rank, linear.in_features))
        self.B = nn.Parameter(torch.zeros(linear.out_features, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    @property
    def compute_dtype(self) -> torch.dtype:
        """In which products are computed, as `Linear` has it."""
        return self.linear.weight.dtype  # frozen, it is rounded at once

    @property
    def weight(self) -> Tensor:
        """W + (alpha / rank) B A, (out, in)."""
        A, B = (t.to(self.linear.weight.dtype) for t in (self.A, self.B))
        return torch.addmm(self.linear.weight, B, A, alpha=self.scale)

    @property
    def bias(self) -> Tensor:
        """That of the frozen layer, (out,)."""
        return self.linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        x, A, B = (t.to(self.compute_dtype) for t in (x, self.A, self.scale * self.B))
        return self.linear(x) + F.linear(F.linear(x, A), B)


def merge_lora(classifier: GPT2Classifier) -> None:
    """Put one linear layer of the sum in the place of each layer with its adapter."""
    for module in list(classifier.gpt2.h.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, AdaptedLinear):
                with torch.device("meta"):
                    merged = Linear(child.linear.in_features, child.linear.out_features)
                merged.weight = nn.Parameter(child.weight.detach(), requires_grad=False)
                merged.bias = child.bias
                setattr(module, name, merged)


def add_lora(classifier: GPT2Classifier, rank: int, alpha: float) -> None:
    """Freeze all but the head, and put an adapter beside every linear layer of every block."""
    classifier.requires_grad_(False)
    classifier.head.requires_grad_(True)
    for module in list(classifier.gpt2.h.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, AdaptedLinear(child, rank, alpha))
