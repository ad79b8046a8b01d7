"""onnxruntime computes what the classifier computes, for any batch and length, padded or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import TINY

from spam_gpt2.classifier.lora import AdaptedLinear, add_lora
from spam_gpt2.exports.onnx_model import PaddedClassifier, export_model, quantize
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2

LENGTHS = [[9], [1], [3, 7, 1, 5], [TINY.n_ctx, 2]]
KINDS = [
    ("last_token", True), ("first_token", True), ("mean_tokens", True),
    ("last_token", False), ("first_token", False), ("mean_tokens", False),
]  # fmt: skip


def classifier(gpt2: GPT2, position: str, causal: bool) -> GPT2Classifier:
    torch.manual_seed(5)
    it = GPT2Classifier(gpt2, 3, position, causal)
    add_lora(it, 2, 4.0)
    with torch.no_grad():
        for name, parameter in it.named_parameters():
            if name.endswith(".B"):
                parameter.normal_()
    return it.requires_grad_(False).eval()


def padded(lengths: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Random tokens (B, T), and 1 where they are no padding."""
    generator = torch.Generator().manual_seed(sum(lengths))
    tokens = torch.randint(TINY.n_vocab, (len(lengths), max(lengths)), generator=generator)
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return tokens, mask.long()


@pytest.mark.parametrize(("position", "causal"), KINDS)
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_the_wrapper_computes_the_same(
    tiny_gpt2: GPT2, position: str, causal: bool, lengths: list[int]
) -> None:
    ours = classifier(tiny_gpt2, position, causal)
    tokens, mask = padded(lengths)
    wrapper = PaddedClassifier(ours)
    found = wrapper(tokens, mask)
    assert not any(isinstance(module, AdaptedLinear) for module in wrapper.modules())
    assert any(isinstance(module, AdaptedLinear) for module in ours.modules())
    assert wrapper.gpt2.wte.weight is ours.gpt2.wte.weight
    expected = ours(tokens, mask.sum(1))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("position", "causal"), KINDS)
def test_one_file_serves_any_batch_and_length(
    tiny_gpt2: GPT2, tmp_path: Path, position: str, causal: bool
) -> None:
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package)
    onnxruntime = pytest.importorskip("onnxruntime")
    ours = classifier(tiny_gpt2, position, causal)
    export_model(tmp_path / "model.onnx", ours)
    quantize(tmp_path / "model.onnx", tmp_path / "model.int8.onnx")
    sessions = [
        onnxruntime.InferenceSession(tmp_path / name, providers=["CPUExecutionProvider"])
        for name in ("model.onnx", "model.int8.onnx")
    ]
    for lengths in LENGTHS:
        tokens, mask = padded(lengths)
        given = {"input_ids": tokens.numpy(), "attention_mask": mask.numpy()}
        exact, rounded = (session.run(None, given)[0] for session in sessions)
        expected = ours(tokens, mask.sum(1)).numpy()
        np.testing.assert_allclose(exact, expected, atol=1e-4, rtol=1e-4)
        assert np.abs(rounded - expected).max() < 0.2 * np.abs(expected).max() + 0.2
    assert {path.name for path in tmp_path.iterdir()} == {"model.onnx", "model.int8.onnx"}
    sizes = [(tmp_path / name).stat().st_size for name in ("model.int8.onnx", "model.onnx")]
    assert sizes[0] < 0.5 * sizes[1]
