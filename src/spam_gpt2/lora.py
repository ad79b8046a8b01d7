"""Low-rank adaptation: trained thin matrices beside frozen weights (Hu et al. 2021)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization

from spam_gpt2.classifier import GPT2Classifier


class LowRankUpdate(nn.Module):
    """W becomes W + (alpha / rank) B A, with A (rank, in) and B (out, rank) (eq. 3).

    B starts at zero, so that training starts from W. It acts on the weight and not on the layer's
    output, so whoever reads `weight`, as `MultiHeadAttention.from_one` does, reads the adapted one.
    """

    def __init__(self, weight: Tensor, rank: int, alpha: float) -> None:
        """For a weight (out, in); A draws from torch's global generator, as `nn.Linear` does."""
        super().__init__()
        outputs, inputs = weight.shape
        self.scale = alpha / rank
        self.A = nn.Parameter(torch.empty(rank, inputs))
        self.B = nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.A, a=math.sqrt(5))

    def forward(self, weight: Tensor) -> Tensor:
        return torch.addmm(weight, self.B, self.A, alpha=self.scale)  # (out, in)


def add_lora(classifier: GPT2Classifier, rank: int, alpha: float) -> None:
    """Freeze all but the head, and put an adapter into every linear layer of every block."""
    classifier.requires_grad_(False)
    classifier.head.requires_grad_(True)
    for module in list(classifier.gpt2.h.modules()):
        if isinstance(module, nn.Linear):
            register_parametrization(module, "weight", LowRankUpdate(module.weight, rank, alpha))
