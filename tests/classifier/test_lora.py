"""Adapters: what they add, by hand, and that nothing else is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR, TINY
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from spam_gpt2.classifier.artifacts import Card, load_classifier, save_classifier
from spam_gpt2.classifier.lora import AdaptedLinear, add_lora, merge_lora
from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import load_gpt2, save_weights

TOKENS = torch.tensor([[5, 9, 2, 7], [1, 3, 8, 4]])
LENGTHS = torch.tensor([4, 4])


def adapted(gpt2: GPT2, rank: int = 2, alpha: float = 6.0) -> GPT2Classifier:
    torch.manual_seed(3)
    classifier = GPT2Classifier(gpt2, 2, "last_token")
    add_lora(classifier, rank, alpha)
    return classifier


def move_adapters(classifier: GPT2Classifier) -> None:
    """Give every B a value, as training would."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, tensor in trained_tensors(classifier).items():
            if name.endswith(".B"):
                tensor.normal_(0, 0.3, generator=generator)


def test_an_adapter_adds_the_scaled_product_of_two_thin_matrices() -> None:
    adapter = AdaptedLinear(nn.Linear(2, 3), rank=1, alpha=4.0)
    with torch.no_grad():
        adapter.linear.weight.fill_(1.0)
        adapter.linear.bias.copy_(torch.tensor([0.0, 10.0, 20.0]))
        adapter.A.copy_(torch.tensor([[1.0, 2.0]]))
        adapter.B.copy_(torch.tensor([[1.0], [0.0], [-1.0]]))
    assert adapter.weight.tolist() == [[5.0, 9.0], [1.0, 1.0], [-3.0, -7.0]]
    assert adapter(torch.tensor([1.0, -1.0])).tolist() == [-4.0, 10.0, 24.0]


def test_merged_adapters_are_plain_layers_with_the_same_answers(tiny_gpt2: GPT2) -> None:
    classifier = adapted(tiny_gpt2)
    move_adapters(classifier)
    before = classifier(TOKENS, LENGTHS)
    merge_lora(classifier)
    torch.testing.assert_close(classifier(TOKENS, LENGTHS), before, atol=1e-4, rtol=1e-4)
    assert not any(isinstance(module, AdaptedLinear) for module in classifier.modules())


def test_no_gradient_of_the_size_of_a_frozen_weight_is_computed() -> None:
    adapter = AdaptedLinear(nn.Linear(8, 6).requires_grad_(False), rank=2, alpha=1.0)
    with FlopCounterMode(display=False) as counter:
        adapter(torch.ones(100, 8, requires_grad=True)).sum().backward()
    W, thin = 2 * 100 * 8 * 6, 2 * 100 * 2 * (8 + 6)
    # Forward, gradient of x, gradient of the weights: the last is left out for W.
    assert counter.get_total_flops() == 2 * W + 3 * thin


def test_before_training_nothing_is_changed(tiny_gpt2: GPT2) -> None:
    torch.manual_seed(3)
    before = GPT2Classifier(tiny_gpt2, 2, "last_token")(TOKENS, LENGTHS)
    assert torch.equal(adapted(tiny_gpt2)(TOKENS, LENGTHS), before)


def test_the_head_and_an_adapter_for_every_linear_layer_are_trained(tiny_gpt2: GPT2) -> None:
    trained = trained_tensors(adapted(tiny_gpt2, rank=2))
    D = TINY.n_embd
    layers = [(D, 3 * D), (D, D), (D, 4 * D), (4 * D, D)]
    expected = TINY.n_layer * sum(2 * (inputs + outputs) for inputs, outputs in layers)
    assert sum(t.numel() for t in trained.values()) == expected + 2 * D + 2
    assert all(name.startswith("head.") or name.endswith((".A", ".B")) for name in trained)


def test_adapters_act_as_layers_with_the_sum_as_their_weight(tiny_gpt2: GPT2) -> None:
    """Beside each frozen layer, x A' B' scale is added by hand; the fast path reads the same."""
    classifier = adapted(tiny_gpt2)
    move_adapters(classifier)
    merged = GPT2(TINY)
    state = {k.removeprefix("gpt2."): v for k, v in classifier.state_dict().items()}
    for name, parameter in merged.named_parameters():
        stem, _, kind = name.rpartition(".")
        frozen = state.get(f"{stem}.linear.{kind}")
        with torch.no_grad():
            parameter.copy_(state[name] if frozen is None else frozen)
            if frozen is not None and kind == "weight":
                parameter.add_(3.0 * (state[f"{stem}.B"] @ state[f"{stem}.A"]))
    plain = GPT2Classifier(merged, 2, "last_token")
    plain.head = classifier.head
    expected = plain(TOKENS, LENGTHS)
    torch.testing.assert_close(classifier(TOKENS, LENGTHS), expected, atol=1e-4, rtol=1e-4)
    runs = [(2, 4)]
    fast = classifier.above(classifier.below(TOKENS.flatten(), runs, 0), runs, 0)
    torch.testing.assert_close(fast, expected, atol=1e-4, rtol=1e-4)


def test_gradients_reach_every_adapter_and_no_frozen_weight(tiny_gpt2: GPT2) -> None:
    classifier = adapted(tiny_gpt2)
    move_adapters(classifier)
    classifier(TOKENS, LENGTHS).square().sum().backward()
    for name, parameter in classifier.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad.abs().sum() > 0, name
        else:
            assert parameter.grad is None, name


def test_trained_adapters_are_loaded_again(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    weights = {name: p.detach() for name, p in tiny_gpt2.named_parameters()}
    save_weights(tmp_path / "gpt2", TINY, weights, "tiny", MINI_DIR)
    gpt2, origin = load_gpt2(tmp_path / "gpt2")
    torch.manual_seed(3)
    classifier = GPT2Classifier(gpt2, 2, "last_token")
    unfreeze(classifier, "lora", 2, 6.0)
    move_adapters(classifier)
    card = Card(
        labels=["ham", "spam"], position="last_token", causal=True, max_length=64, pad=False,
        init="pretrained", init_seed=1, trainable="lora", lora_rank=2, lora_alpha=6.0,
        weights=origin.name, weights_sha256=origin.sha256, device="cpu", precision="float32",
    )  # fmt: skip
    save_classifier(tmp_path / "classifier", classifier, card)
    loaded, _ = load_classifier(tmp_path / "classifier", tmp_path / "gpt2")
    assert torch.equal(loaded(TOKENS, LENGTHS), classifier(TOKENS, LENGTHS))


@pytest.mark.parametrize("rank", [1, 5])
def test_an_adapter_is_of_the_rank_that_is_asked_for(rank: int) -> None:
    torch.manual_seed(0)
    adapter = AdaptedLinear(nn.Linear(8, 6), rank, 1.0)
    nn.init.normal_(adapter.B)
    difference = adapter.weight - adapter.linear.weight
    assert torch.linalg.matrix_rank(difference, atol=1e-5) == rank
