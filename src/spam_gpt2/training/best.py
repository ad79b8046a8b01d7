"""The best epoch of a training, by validation loss."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor


class Best:
    """A copy of the trained tensors after the epoch with the lowest validation loss so far."""

    def __init__(self) -> None:
        self.epoch, self.loss = 0, math.inf
        self.tensors: dict[str, Tensor] = {}

    def offer(self, epoch: int, loss: float, tensors: dict[str, Tensor]) -> None:
        """Take these if they are better than all before; of equals the first stays."""
        if loss < self.loss:
            self.epoch, self.loss = epoch, loss
            self.tensors = {name: tensor.detach().clone() for name, tensor in tensors.items()}

    def put_back(self, tensors: dict[str, Tensor]) -> None:
        """Set tensors, in place, to what they were then."""
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                tensors[name].copy_(tensor)

    def facts(self) -> dict[str, Any]:
        """What a checkpoint keeps beside the tensors; nothing before the first epoch's end."""
        return {"best": {"epoch": self.epoch, "loss": self.loss}} if self.epoch else {}

    def load(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take back what a checkpoint has."""
        if best := facts.get("best"):
            self.epoch, self.loss, self.tensors = best["epoch"], best["loss"], tensors
