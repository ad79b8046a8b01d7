"""Devices, precisions and kernels: what is chosen, what is refused, and what it costs in error."""

from __future__ import annotations

import copy

import pytest
import torch

from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import ComputeSettings
from spam_gpt2.gpt2 import compute
from spam_gpt2.gpt2.compute import Compute, find_device, product_error, use_fast_products
from spam_gpt2.gpt2.config import GPT2Config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2, Linear
from spam_gpt2.gpt2.ragged import runs_of
from spam_gpt2.gpt2.weight_packing import PackedLinear

LENGTHS = [12, 12, 5, 1]
TOKENS = torch.arange(sum(LENGTHS)) * 91 % 4096
TRAINABLE = ["head_only", "last_block", "all", "lora"]


@pytest.fixture(autouse=True)
def same_afterwards():
    """What these tests change for the whole process."""
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    yield
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)


def settings(**changes: object) -> ComputeSettings:
    return ComputeSettings(**{"device": "cpu", "precision": "float32", "threads": None} | changes)


def classifier_of(gpt2: GPT2, trainable: str = "last_block") -> GPT2Classifier:
    torch.manual_seed(3)
    classifier = GPT2Classifier(copy.deepcopy(gpt2), 2, "last_token")
    unfreeze(classifier, trainable, 2, 4.0)
    return classifier


def logits(classifier: GPT2Classifier) -> torch.Tensor:
    runs, tokens = runs_of(LENGTHS), TOKENS.to(classifier.device)
    return classifier.above(classifier.gpt2.embed(tokens, runs), runs, 0)


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_one_line(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=rf"^params.yaml: compute.device: torch finds no {name} "):
        Compute.start(settings(device=name))
    assert find_device("auto").type == "cpu"


def test_auto_is_the_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert find_device("auto").type == "mps"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert find_device("auto").type == "cuda"
    assert find_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("width", "chosen", "threads"), [(128, None, 1), (512, None, 3), (None, None, 3), (128, 2, 2)]
)
def test_a_narrow_model_is_trained_by_one_thread_unless_a_number_is_chosen(
    width: int | None, chosen: int | None, threads: int
) -> None:
    torch.set_num_threads(3)
    trained = None if width is None else GPT2Config(64, 32, width, 4, 2)
    assert Compute.start(settings(threads=chosen), trained).threads == threads
    assert torch.get_num_threads() == threads


def test_the_number_of_threads_is_taken_over() -> None:
    assert Compute.start(settings(threads=1)).threads == torch.get_num_threads() == 1


def test_fast_products_keep_the_error_of_float32() -> None:
    use_fast_products()
    assert product_error() < 2e-6


def test_products_that_round_to_bfloat16_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_float32_matmul_precision("highest")
    monkeypatch.setattr(compute, "product_error", lambda: 1e-3)
    use_fast_products()
    assert torch.get_float32_matmul_precision() == "highest"


def test_the_error_of_a_product_shows_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = torch.randn
    monkeypatch.setattr(torch, "randn", lambda *a, **k: draw(*a, **k).bfloat16().float())
    exact = product_error()
    monkeypatch.setattr(torch.Tensor, "double", lambda x: x.to(torch.float64) * (1 + 2**-9))
    assert exact < 1e-5 < product_error()


def test_a_processor_without_bfloat16_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for there, line in ((True, ""), (False, "WARNING: params.yaml: compute.precision: ")):
        monkeypatch.setattr(compute, "has_bfloat16", lambda there=there: there)
        Compute.start(settings(precision="bfloat16"))
        assert capsys.readouterr().err.startswith(line)


@pytest.mark.parametrize("trainable", TRAINABLE)
def test_in_bfloat16_only_frozen_weights_are_rounded(tiny_gpt2: GPT2, trainable: str) -> None:
    classifier = classifier_of(tiny_gpt2, trainable)
    Compute.start(settings(precision="bfloat16")).place(classifier)
    trained = {p.dtype for p in classifier.parameters() if p.requires_grad}
    assert trained == {torch.float32}
    linear = [m for m in classifier.gpt2.modules() if isinstance(m, Linear)]
    assert {m.compute_dtype for m in linear} == {torch.bfloat16}
    frozen = {m.weight.dtype for m in linear if not m.weight.requires_grad}
    assert frozen == (set() if trainable == "all" else {torch.bfloat16})


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize(("precision", "error"), [("float32", 2e-6), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("trainable", TRAINABLE)
def test_the_error_of_logits_is_within_what_is_stated(
    tiny_gpt2: GPT2,
    precision: str,
    error: float,
    frozen: bool,
    trainable: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Against float64, as a share of the largest logit; docs/speed.md states these bounds."""
    classifier = classifier_of(tiny_gpt2, trainable)
    exact = logits(copy.deepcopy(classifier).double()).detach()
    monkeypatch.setattr(compute, "WIDE", 1)  # with all kernels that a large model gets
    chosen = Compute.start(settings(precision=precision))
    (chosen.place_frozen if frozen else chosen.place)(classifier)
    found = logits(classifier).detach()
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < error * exact.abs().max()


def test_small_models_do_without_kernels_that_are_made_for_each_shape(tiny_gpt2: GPT2) -> None:
    torch.set_float32_matmul_precision("highest")
    classifier = classifier_of(tiny_gpt2)
    Compute.start(settings()).place_frozen(classifier)
    assert torch.get_float32_matmul_precision() == "highest"
    assert not any(isinstance(module, PackedLinear) for module in classifier.modules())


@pytest.mark.parametrize("trainable", ["last_block", "all", "lora"])
def test_gradients_in_bfloat16_point_the_same_way(tiny_gpt2: GPT2, trainable: str) -> None:
    gradients = []
    for precision in ("float32", "bfloat16"):
        classifier = classifier_of(tiny_gpt2, trainable)
        Compute.start(settings(precision=precision)).place(classifier)
        torch.nn.functional.cross_entropy(logits(classifier), torch.tensor([0, 1, 0, 1])).backward()
        parts = [p.grad.flatten() for p in classifier.parameters() if p.grad is not None]
        assert {part.dtype for part in parts} == {torch.float32}
        gradients.append(torch.cat(parts))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.999


def test_the_whole_model_makes_its_tensors_where_it_is(tiny_gpt2: GPT2) -> None:
    """What is made on the processor does not go with tensors of `meta`, or of a GPU."""
    classifier = classifier_of(tiny_gpt2).to("meta")
    assert logits(classifier).device.type == "meta"
    assert classifier.gpt2(torch.zeros(2, 5, dtype=torch.int64, device="meta")).is_meta


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize(("precision", "error"), [("float32", 1e-5), ("bfloat16", 2e-2)])
@pytest.mark.parametrize("trainable", TRAINABLE)
def test_a_gpu_gives_the_same_logits(
    tiny_gpt2: GPT2, precision: str, error: float, trainable: str
) -> None:
    classifier = classifier_of(tiny_gpt2, trainable)
    exact = logits(copy.deepcopy(classifier).double()).detach()
    Compute.start(settings(device="cuda", precision=precision)).place(classifier)
    found = logits(classifier).detach().cpu()
    assert (found - exact).abs().max() < error * exact.abs().max()
