"""GPT-2 as Hugging Face keeps it: `config.json`, `model.safetensors` and the vocabulary.

Never a pickle: a folder with only `pytorch_model.bin` is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict
from torch import Tensor

from spam_gpt2.common.files import InputError
from spam_gpt2.common.validation import Float, read_checked
from spam_gpt2.gpt2.config import CONFIG_FILE, GPT2Config
from spam_gpt2.gpt2.model import check_weights, expected_shapes
from spam_gpt2.gpt2.weights import load_tensors

HF_DATA_FILE = "model.safetensors"
PICKLE_FILE = "pytorch_model.bin"
# The vocabulary has OpenAI's names here: on the hub it is the same two files, byte by byte.
HF_FILES = {
    CONFIG_FILE: CONFIG_FILE,
    "encoder.json": "vocab.json",
    "vocab.bpe": "merges.txt",
    HF_DATA_FILE: HF_DATA_FILE,
}
AGAIN = "fetch it again: `dvc repro --force fetch_gpt2`"

PREFIX = "transformer."  # that a model with an output head gives to its body's tensors
OUTPUT_HEAD = "lm_head.weight"
# Causal masks, which are no weights: attention has them in it.
MASKS = re.compile(r"h\.\d+\.attn\.(bias|masked_bias)")
# transformers' Conv1D keeps (in, out); torch's Linear has (out, in).
CONV1D = re.compile(r"h\.\d+\.(attn\.c_attn|attn\.c_proj|mlp\.c_fc|mlp\.c_proj)\.weight")


def _is_gpt2s(epsilon: float) -> float:
    if epsilon != 1e-5:
        raise ValueError(f"must be 1e-05, as GPT-2 has it, not {epsilon:g}")
    return epsilon


class _HFConfig(BaseModel):
    """What of `config.json` changes the result; the rest is about training and generation.

    What has a default here may be missing, and is then GPT-2's own.
    """

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    model_type: Literal["gpt2"]
    vocab_size: int
    n_positions: int
    n_embd: int
    n_head: int
    n_layer: int
    n_inner: int | None = None
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh"] = "gelu_new"
    layer_norm_epsilon: Annotated[Float, AfterValidator(_is_gpt2s)] = 1e-5
    scale_attn_weights: Literal[True] = True
    scale_attn_by_inverse_layer_idx: Literal[False] = False
    add_cross_attention: Literal[False] = False


def read_hf_config(checkpoint_dir: Path) -> GPT2Config:
    """The model's size from `config.json`; InputError when it is no GPT-2 of ours."""
    path = checkpoint_dir / CONFIG_FILE
    found = read_checked(path, _HFConfig, "not the config of a GPT-2", remedy="")
    if found.n_inner not in (None, 4 * found.n_embd):
        raise InputError(f"{path}: n_inner: must be 4 n_embd, not {found.n_inner}")
    sizes = (found.vocab_size, found.n_positions, found.n_embd, found.n_head, found.n_layer)
    return GPT2Config(*sizes)


def read_hf_checkpoint(checkpoint_dir: Path) -> tuple[GPT2Config, dict[str, Tensor]]:
    """Size and weights of a Hugging Face folder, under our names and in our shapes, float32.

    Raises: InputError, in one line, for files that are missing or damaged, or that do not fit
    `config.json`.
    """
    config = read_hf_config(checkpoint_dir)
    path = checkpoint_dir / HF_DATA_FILE
    found = {k.removeprefix(PREFIX): v for k, v in load_tensors(path, AGAIN).items()}
    found = {name: tensor for name, tensor in found.items() if not MASKS.fullmatch(name)}
    head = found.pop(OUTPUT_HEAD, None)
    weights = {k: v.T if CONV1D.fullmatch(k) and v.ndim == 2 else v for k, v in found.items()}
    check_weights(config, weights, path)
    if head is not None and not torch.equal(head, weights["wte.weight"]):
        raise InputError(f"{path}: tensor {OUTPUT_HEAD} is not wte.weight, as in GPT-2 it is")
    return config, {name: weights[name].contiguous() for name in expected_shapes(config)}


def most_bytes(config: GPT2Config) -> int:
    """More than `model.safetensors` of a model of this size can have, masks and head included."""
    masks = config.n_layer * (config.n_ctx**2 + 1)
    head = config.n_vocab * config.n_embd
    return 4 * (config.n_parameters + masks + head) + (1 << 20)
