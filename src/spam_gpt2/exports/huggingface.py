"""The classifier as transformers' GPT2ForSequenceClassification."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from spam_gpt2.classifier.artifacts import Card
from spam_gpt2.common.files import InputError
from spam_gpt2.exports.folders import write_model_config, write_tokenizer
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.hf_checkpoint import HF_DATA_FILE, PREFIX

LEFT_OVER = 1e-6  # of a folded bias, relative to its size: float64's rounding is far below


def check_expressible(card: Card) -> None:
    """Raises: InputError for what GPT2ForSequenceClassification cannot do: it reads the last token.

    That is the last which is no padding, so that a position within the padding cannot be said.
    """
    if card.position != "last_token":
        raise InputError(
            f"classifier.position: {card.position} cannot be said in a Hugging Face folder: "
            "GPT2ForSequenceClassification reads the last token. Export to ONNX instead, or "
            "train with last_token"
        )
    if not card.causal:
        raise InputError(
            "classifier.causal: false cannot be said in a Hugging Face folder: "
            "transformers' GPT-2 is causal. Export to ONNX instead"
        )


def fold_head_bias(weight: Tensor, bias: Tensor) -> Tensor:
    """What to add to the final norm's bias, (D,), in place of a head's bias, (K,).

    The head reads y = g * n + c, with n normalised, and g and c the final norm's scale and bias.
    transformers' `score` has a weight W, (K, D), and no bias. For any d with W d = b

        W (g * n + c) + b = W (g * n + (c + d))

    so that c + d as the final norm's bias makes up for it: nothing else reads that norm's output.
    d = W+ b, with the pseudo-inverse W+ of Moore and Penrose, is the shortest solution when there
    is one. There is one for every b when the rows of W are linearly independent, since W W+ is the
    identity then.

    Raises: InputError when there is none: the rows of W are linearly dependent.
    """
    wide, wanted = weight.detach().double(), bias.detach().double()
    folded = torch.linalg.pinv(wide) @ wanted
    if (wide @ folded - wanted).norm() > LEFT_OVER * wanted.norm():
        raise InputError(
            "the head's bias cannot be folded into the final norm: the rows of its weight, one a "
            f"class, are linearly dependent ({len(wanted)} classes, {wide.shape[1]} numbers wide). "
            "Export to ONNX instead"
        )
    return folded


def transformers_weights(classifier: GPT2Classifier) -> dict[str, Tensor]:
    """All weights under transformers' names, linear layers (in, out), adapters merged."""
    gpt2, head = classifier.gpt2, classifier.head
    weights = {name: getattr(gpt2, name).weight for name in ("wte", "wpe")}
    tensors = {f"{name}.weight": weight for name, weight in weights.items()}
    for number, block in enumerate(gpt2.h):
        for name in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj"):
            module = block.get_submodule(name)  # an AdaptedLinear's `weight` is the merged one
            is_norm = isinstance(module, nn.LayerNorm)
            tensors[f"h.{number}.{name}.weight"] = module.weight if is_norm else module.weight.T
            tensors[f"h.{number}.{name}.bias"] = module.bias
    tensors["ln_f.weight"] = gpt2.ln_f.weight
    folded = gpt2.ln_f.bias.double() + fold_head_bias(head.weight, head.bias)
    tensors["ln_f.bias"] = folded
    tensors = {f"{PREFIX}{name}": tensor for name, tensor in tensors.items()}
    tensors["score.weight"] = head.weight
    return {name: tensor.detach().float().contiguous() for name, tensor in tensors.items()}


def write_huggingface(
    folder: Path, classifier: GPT2Classifier, card: Card, weights_dir: Path, end_of_text: int
) -> None:
    """Write config, weights and tokenizer to a folder, as `save_pretrained` would.

    Raises: InputError for what cannot be expressed, before anything is written.
    """
    check_expressible(card)
    tensors = transformers_weights(classifier)
    save_file(tensors, folder / HF_DATA_FILE, metadata={"format": "pt"})
    write_tokenizer(folder, weights_dir, card)
    write_model_config(folder, classifier.gpt2.config, card, end_of_text)
