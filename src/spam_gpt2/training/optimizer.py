"""AdamW by torch's own fused kernel, with a state of plain tensors.

`torch.optim` imports torch's compiler, a second for each process, and keeps its state in a way that
only a pickle holds.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

BETAS = 0.9, 0.999
EPSILON = 1e-8
MOMENTS = ("exp_avg", "exp_avg_sq")


class AdamW:
    """As `torch.optim.AdamW(fused=True)`, bit for bit (Loshchilov & Hutter 2019)."""

    def __init__(self, tensors: Mapping[str, Tensor], lr: float, weight_decay: float) -> None:
        """Takes named parameters; a tensor that got no gradient in a step stays as it is."""
        self.tensors, self.lr, self.weight_decay = dict(tensors), lr, weight_decay
        self.state: dict[str, dict[str, Tensor]] = {}

    @torch.no_grad()
    def step(self) -> None:
        """Move what has a gradient."""
        moved = {name: p for name, p in self.tensors.items() if p.grad is not None}
        for name, tensor in moved.items():
            if name not in self.state:
                self.state[name] = {kind: torch.zeros_like(tensor) for kind in MOMENTS}
                self.state[name]["step"] = torch.zeros((), device=tensor.device)
        if not moved:
            return
        states = [self.state[name] for name in moved]
        steps = [state["step"] for state in states]
        torch._foreach_add_(steps, 1)
        torch._fused_adamw_(
            list(moved.values()),
            [tensor.grad for tensor in moved.values()],
            *([state[kind] for state in states] for kind in MOMENTS),
            [],
            steps,
            amsgrad=False,
            lr=self.lr,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self.weight_decay,
            eps=EPSILON,
            maximize=False,
        )

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for tensor in self.tensors.values():
            tensor.grad = None

    def state_tensors(self) -> dict[str, Tensor]:
        """All that it remembers, by `<kind>/<name>`."""
        return {f"{k}/{name}": t for name, state in self.state.items() for k, t in state.items()}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Take back what `state_tensors` gave."""
        self.state = {}
        for key, tensor in tensors.items():
            kind, _, name = key.partition("/")
            place = self.tensors[name].device
            self.state.setdefault(name, {})[kind] = tensor.to(place, copy=True)
