"""The classifier as ONNX: padded messages in, class logits out."""

from __future__ import annotations

import copy
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from spam_gpt2.classifier.artifacts import Card
from spam_gpt2.classifier.lora import merge_lora
from spam_gpt2.exports.folders import write_model_config, write_tokenizer
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import Block

MODEL_FILE, INT8_FILE = "model.onnx", "model.int8.onnx"
INPUTS = ("input_ids", "attention_mask")
MOST_IN_ONE_FILE = 1_500_000_000  # bytes of weights; protobuf ends at 2 GB
OPSET = 20  # of ONNX 1.15, the first with GELU


class PaddedClassifier(nn.Module):
    """GPT-2 and its head on messages side by side, padded on the right, in plain products.

    Adapters are merged, and the classifier stays as it is: the copy shares all other weights.
    """

    def __init__(self, classifier: GPT2Classifier) -> None:
        super().__init__()
        shared = {id(tensor): tensor for tensor in classifier.parameters()}
        classifier = copy.deepcopy(classifier, shared)
        merge_lora(classifier)
        self.gpt2, self.head = classifier.gpt2, classifier.head
        self.position, self.causal = classifier.position, classifier.causal

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Class logits: token ids (B, T) and 1 where a token is no padding (B, T), to (B, K)."""
        is_token = attention_mask.bool()
        length = input_ids.shape[1]
        places = torch.arange(length, device=input_ids.device)
        hidden = places[:, None] < places if self.causal else ~is_token[:, None, None]
        x = self.gpt2.wte(input_ids) + self.gpt2.wpe(places)  # (B, T, D)
        for block in self.gpt2.h:
            x = x + self._attend(block, block.ln_1(x), hidden)
            x = x + block.mlp(block.ln_2(x))
        return self.head(self._pooled(self.gpt2.ln_f(x), is_token))

    def _attend(self, block: Block, x: Tensor, hidden: Tensor) -> Tensor:
        """(B, T, D) to (B, T, D), blind for what is hidden: (T, T) or (B, 1, 1, T)."""
        qkv = block.attn.c_attn(x).chunk(3, dim=2)
        q, k, v = (t.unflatten(2, (block.attn.n_head, -1)).transpose(1, 2) for t in qkv)
        scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)  # (B, H, T, T)
        weights = scores.masked_fill(hidden, float("-inf")).softmax(3)
        return block.attn.c_proj((weights @ v).transpose(1, 2).flatten(2))

    def _pooled(self, x: Tensor, is_token: Tensor) -> Tensor:
        """What decides, (B, D). To decide within the padding, mark the padding as tokens."""
        lengths = is_token.sum(1, keepdim=True)  # (B, 1)
        if self.position.startswith("mean_"):
            return (x * is_token[..., None]).sum(1) / lengths
        if self.position == "first_token":
            return x[:, 0]
        last = (lengths - 1)[..., None].expand(-1, 1, x.shape[2])
        return x.gather(1, last)[:, 0]


def write_onnx(
    folder: Path, classifier: GPT2Classifier, card: Card, weights_dir: Path, end_of_text: int
) -> None:
    """Write model, config and tokenizer to a folder; any batch, any length up to the context."""
    export_model(folder / MODEL_FILE, classifier)
    write_tokenizer(folder, weights_dir, card)
    write_model_config(folder, classifier.gpt2.config, card, end_of_text)


def export_model(path: Path, classifier: GPT2Classifier) -> None:
    """Write an ONNX file, and beside it its weights where one file could not hold them."""
    module = PaddedClassifier(classifier).eval()
    example = torch.zeros(2, 3, dtype=torch.int64)
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length", max=_context(classifier))
    shapes = {name: {0: batch, 1: length} for name in INPUTS}
    size = sum(parameter.nbytes for parameter in module.parameters())
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of what torch will do otherwise some day
        torch.onnx.export(
            module,
            (example, torch.ones_like(example)),
            path,
            input_names=list(INPUTS),
            output_names=["logits"],
            dynamic_shapes=shapes,
            dynamo=True,
            verbose=False,
            opset_version=OPSET,
            external_data=size > MOST_IN_ONE_FILE,
        )


def _context(classifier: GPT2Classifier) -> int:
    return classifier.gpt2.config.n_ctx


def quantize(path: Path, int8_path: Path) -> None:
    """Write the same model with weights of 8 bits, which onnxruntime rounds activations to, too."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)  # it advises on what does not help here
    try:
        quantize_dynamic(path, int8_path, weight_type=QuantType.QInt8, per_channel=True)
    finally:
        root.setLevel(level)
