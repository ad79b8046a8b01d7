"""Our AdamW is torch's, to the bit."""

from __future__ import annotations

import pytest
import torch

from spam_gpt2.training.optimizer import AdamW

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_it_moves_as_torchs_own_and_goes_on_from_its_state(
    device: str, weight_decay: float
) -> None:
    generator = torch.Generator().manual_seed(1)
    shapes = {"a": (33, 17), "b": (5,), "late": (3, 4)}
    start = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    ours, theirs = (
        {name: t.clone().to(device).requires_grad_() for name, t in start.items()} for _ in "12"
    )
    optimizer = AdamW(ours, lr=3e-3, weight_decay=weight_decay)
    reference = torch.optim.AdamW(theirs.values(), lr=3e-3, weight_decay=weight_decay, fused=True)
    for step in range(20):
        for name, shape in shapes.items():
            gradient = torch.randn(shape, generator=generator).to(device)
            used = name != "late" or step > 4
            for side in (ours, theirs):
                side[name].grad = gradient.clone() if used else None
        if step == 10:
            state = {key: t.cpu() for key, t in optimizer.state_tensors().items()}
            optimizer = AdamW(ours, lr=3e-3, weight_decay=weight_decay)
            optimizer.load_state(state)
        optimizer.step()
        reference.step()
        assert all(torch.equal(ours[name], theirs[name]) for name in shapes)
    optimizer.zero_grad()
    assert all(tensor.grad is None for tensor in ours.values())
