"""Packed weights answer as the plain ones do, and refuse to be trained."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2, Linear
from spam_gpt2.gpt2.ragged import runs_of
from spam_gpt2.gpt2.weight_packing import (
    FEW,
    PackedFeedForward,
    PackedLinear,
    pack,
    packing_works,
)
from spam_gpt2.gpt2.weights import load_tensors, save_tensors

needs_kernels = pytest.mark.skipif(
    not packing_works(torch.float32), reason="this torch has no packed kernels for the processor"
)
LENGTHS = [9, 9, 4, 1]
TOKENS = torch.arange(sum(LENGTHS)) * 37 % 4096


@pytest.fixture
def packed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spam_gpt2.gpt2.weight_packing.FEW", 0)


def logits(classifier: GPT2Classifier) -> torch.Tensor:
    runs = runs_of(LENGTHS)
    with torch.inference_mode():
        return classifier.above(classifier.gpt2.embed(TOKENS, runs), runs, 0)


@needs_kernels
@pytest.mark.usefixtures("packed_at_once")
@pytest.mark.parametrize("position", ["last_token", "mean_tokens"])
def test_a_packed_model_answers_the_same(tiny_gpt2: GPT2, position: str) -> None:
    torch.manual_seed(3)
    classifier = GPT2Classifier(tiny_gpt2, 2, position)
    expected = logits(copy.deepcopy(classifier).double())
    pack(classifier.requires_grad_(False))
    found = logits(classifier)
    kinds = [type(module) for module in classifier.modules()]
    assert kinds.count(PackedFeedForward) == 3
    assert kinds.count(Linear) == 1  # query, key and value of the last block
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


@needs_kernels
@pytest.mark.usefixtures("packed_at_once")
def test_blocks_that_nobody_runs_are_not_packed(tiny_gpt2: GPT2) -> None:
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token").requires_grad_(False)
    pack(classifier)
    with torch.inference_mode():
        classifier.above(torch.randn(sum(LENGTHS), 32), runs_of(LENGTHS), 2)
    packed = [module for module in classifier.modules() if isinstance(module, PackedLinear)]
    assert [module.linear is None for module in packed] == [False] * 8 + [True] * 3


@needs_kernels
@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("gelu", [False, True])
def test_weights_are_packed_once_more_than_a_few_rows_have_come(
    dtype: torch.dtype | None, gelu: bool
) -> None:
    linear = Linear(64, 96).requires_grad_(False)
    nn.init.normal_(linear.weight, std=0.1)
    nn.init.normal_(linear.bias)
    if dtype:
        linear.compute_in(dtype)
    packed = PackedLinear(linear, gelu=gelu)
    x = torch.randn(FEW, 64)
    with torch.inference_mode():
        before = packed(x)
        assert packed.linear is linear
        after = packed(x)
    assert packed.linear is None
    assert before.dtype == after.dtype
    tolerance = 2e-2 if dtype else 1e-5
    torch.testing.assert_close(after, before, atol=tolerance, rtol=tolerance)


@needs_kernels
def test_adapters_stay_as_they_are(tiny_gpt2: GPT2) -> None:
    torch.manual_seed(3)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
    unfreeze(classifier, "lora", 2, 4.0)
    for name, parameter in classifier.named_parameters():
        if name.endswith(".B"):
            nn.init.normal_(parameter, std=0.1)
    expected = logits(classifier)
    pack(classifier.requires_grad_(False))
    assert not any(isinstance(module, PackedLinear) for module in classifier.modules())
    assert torch.equal(logits(classifier), expected)


@needs_kernels
def test_a_gradient_that_would_be_lost_is_refused() -> None:
    linear = Linear(8, 8)
    for parameter in linear.parameters():
        nn.init.ones_(parameter)
    with pytest.raises(AssertionError, match="no gradients"):
        PackedLinear(linear)(torch.ones(2, 8, requires_grad=True))


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, NotImplementedError])
def test_without_the_kernels_models_are_not_packed(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fails(*args: object, **kwargs: object) -> None:
        raise error("no such kernel")

    packing_works.cache_clear()
    monkeypatch.setattr("spam_gpt2.gpt2.weight_packing.PackedLinear", fails)
    assert not packing_works(torch.float32)
    packing_works.cache_clear()


def test_kernels_that_compute_something_else_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Rounded(nn.Linear):
        def __init__(self, linear: Linear, gelu: bool) -> None:
            super().__init__(linear.in_features, linear.out_features)
            self.linear = linear

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            product = self.linear(x.bfloat16().float())
            return nn.functional.gelu(product, approximate="tanh")

    packing_works.cache_clear()
    monkeypatch.setattr("spam_gpt2.gpt2.weight_packing.PackedLinear", Rounded)
    assert not packing_works(torch.float32)
    packing_works.cache_clear()


@needs_kernels
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")
def test_the_mapped_weights_are_let_go_once_they_are_packed(tmp_path: Path) -> None:
    """Both would lie in memory otherwise: as they are in the file, and packed."""
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.randn(2048, 1024), "bias": torch.zeros(2048)})
    linear = Linear(1024, 2048).requires_grad_(False)
    linear.load_state_dict(load_tensors(path), assign=True)
    before = mapped_in_memory()
    with torch.inference_mode():
        PackedLinear(linear.requires_grad_(False))(torch.ones(FEW + 1, 1024))
    assert mapped_in_memory() - before < 4096  # of the 8,192 KiB that were read


def mapped_in_memory() -> int:
    """KiB of mapped files that this process has in memory."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("RssFile:")[1].split()[0])
