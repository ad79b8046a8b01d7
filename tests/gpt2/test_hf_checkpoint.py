"""A Hugging Face folder is read to the very bytes that OpenAI's files give, or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR, TINY
from reference import reference_language_model, reference_model
from safetensors.torch import load_file, save_file
from transformers import GPT2LMHeadModel

from spam_gpt2.common.files import InputError, sha256_of
from spam_gpt2.gpt2.hf_checkpoint import HF_DATA_FILE, most_bytes, read_hf_checkpoint
from spam_gpt2.gpt2.layouts import HUGGING_FACE, OPENAI
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.sources import HF_BYTES, SIZES
from spam_gpt2.gpt2.tf_checkpoint import write_checkpoint
from spam_gpt2.gpt2.weights import save_weights

VOCABULARY = {"encoder.json": "vocab.json", "vocab.bpe": "merges.txt"}


def with_masks(path: Path) -> None:
    """Add the causal masks that the hub's files have, and that transformers no longer writes."""
    tensors = load_file(path)
    mask = torch.ones(TINY.n_ctx, TINY.n_ctx).tril()[None, None]
    prefix = "" if "wte.weight" in tensors else "transformer."
    for block in range(TINY.n_layer):
        tensors[f"{prefix}h.{block}.attn.bias"] = mask.clone()
        tensors[f"{prefix}h.{block}.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, path, metadata={"format": "pt"})


@pytest.fixture
def hf_dir(tiny_gpt2: GPT2, tmp_path: Path) -> Path:
    """As on the hub: no prefix, masks, and the vocabulary under OpenAI's names as fetched."""
    folder = tmp_path / "hub"
    reference_model(tiny_gpt2).save_pretrained(folder)
    with_masks(folder / HF_DATA_FILE)
    for ours in VOCABULARY:
        shutil.copyfile(MINI_DIR / ours, folder / ours)
    return folder


def change(folder: Path, **changes: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def refusal(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_hf_checkpoint(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: sha256_of(path) for path in folder.iterdir()}


@pytest.mark.parametrize("written", ["hub", "language model", "language model and head"])
def test_both_layouts_give_the_same_bytes(
    tiny_gpt2: GPT2, hf_dir: Path, tmp_path: Path, written: str
) -> None:
    """OpenAI's by TensorFlow's own writer, Hugging Face's by transformers' own."""
    arrays = {name: weight.detach().numpy() for name, weight in tiny_gpt2.named_parameters()}
    write_checkpoint(tmp_path / "openai", TINY, arrays, MINI_DIR)
    if written != "hub":
        reference_language_model(tiny_gpt2).save_pretrained(hf_dir)
    if written == "language model and head":
        tensors = load_file(hf_dir / HF_DATA_FILE)
        tensors["lm_head.weight"] = tensors["transformer.wte.weight"].clone()
        save_file(tensors, hf_dir / HF_DATA_FILE)
    for layout, folder in ((OPENAI, tmp_path / "openai"), (HUGGING_FACE, hf_dir)):
        out_dir = tmp_path / f"converted {folder.name}"
        save_weights(out_dir, *layout.read(folder), "gpt2-124M", folder)
    assert digests(tmp_path / "converted hub") == digests(tmp_path / "converted openai")


def test_transformers_logits_are_ours(tiny_gpt2: GPT2, hf_dir: Path) -> None:
    """A model that was read computes what transformers computes with the same folder."""
    from spam_gpt2.gpt2.model import gpt2_from_weights

    reference_language_model(tiny_gpt2).save_pretrained(hf_dir)
    ours = gpt2_from_weights(*read_hf_checkpoint(hf_dir))
    theirs = GPT2LMHeadModel.from_pretrained(hf_dir).eval()
    tokens = torch.randint(TINY.n_vocab, (2, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).logits, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_type", "llama"),
        ("activation_function", "relu"),
        ("layer_norm_epsilon", 1e-6),
        ("scale_attn_weights", False),
        ("scale_attn_by_inverse_layer_idx", True),
        ("add_cross_attention", True),
        ("n_inner", 64),
        ("n_embd", "32"),
        ("n_embd", 33),
        ("vocab_size", 10**12),
    ],
)
def test_a_config_of_another_model_is_refused(hf_dir: Path, key: str, value: object) -> None:
    change(hf_dir, **{key: value})
    assert (key if key != "vocab_size" else "parameters in all") in refusal(hf_dir)


def test_a_config_that_says_more_is_no_harm(hf_dir: Path) -> None:
    change(hf_dir, task_specific_params={"text-generation": {}}, n_ctx=64, something="new")
    assert read_hf_checkpoint(hf_dir)[0] == TINY


def spoil(tensors: dict[str, torch.Tensor], name: str) -> None:
    if name == "missing":
        del tensors["h.1.ln_2.bias"]
    elif name == "left over":
        tensors["h.1.adapter.weight"] = torch.zeros(2)
    elif name == "half":
        tensors["wpe.weight"] = tensors["wpe.weight"].half()
    elif name == "out, in":
        tensors["h.0.mlp.c_fc.weight"] = tensors["h.0.mlp.c_fc.weight"].T.contiguous()
    else:
        tensors["lm_head.weight"] = tensors["wte.weight"] + 1


SPOILT = {
    "missing": "tensor h.1.ln_2.bias is missing",
    "left over": "tensor h.1.adapter.weight is not one of GPT-2's",
    "half": "tensor wpe.weight is torch.float16, expected float32",
    "out, in": "tensor h.0.mlp.c_fc.weight has shape",
    "own head": "tensor lm_head.weight is not wte.weight",
}


@pytest.mark.parametrize("name", SPOILT)
def test_tensors_that_do_not_fit_are_named(hf_dir: Path, name: str) -> None:
    tensors = load_file(hf_dir / HF_DATA_FILE)
    spoil(tensors, name)
    save_file(tensors, hf_dir / HF_DATA_FILE)
    line = refusal(hf_dir)
    assert line.startswith(str(hf_dir / HF_DATA_FILE))
    assert SPOILT[name] in line


@pytest.mark.parametrize("size", [0, 7, 5000])
def test_a_truncated_file_is_damage(hf_dir: Path, size: int) -> None:
    path = hf_dir / HF_DATA_FILE
    path.write_bytes(path.read_bytes()[:size])
    assert f"{path}: damaged" in refusal(hf_dir)
    path.unlink()
    assert f"{path}: no such file; fetch it again" in refusal(hf_dir)


@pytest.mark.parametrize("size", SIZES)
def test_the_hubs_files_are_below_the_bound_of_their_size(size: str) -> None:
    """By little: the masks and the header are what they have beyond the weights."""
    weights = SIZES[size].n_parameters * 4
    masks = SIZES[size].n_layer * 1024**2 * 4
    assert 0 < HF_BYTES[size] - weights - masks < 1 << 17
    assert HF_BYTES[size] < most_bytes(SIZES[size])


def test_the_bound_holds_with_all_that_may_be_in_a_file(hf_dir: Path) -> None:
    tensors = load_file(hf_dir / HF_DATA_FILE)
    tensors["lm_head.weight"] = tensors["wte.weight"].clone()
    save_file(tensors, hf_dir / HF_DATA_FILE)
    assert (hf_dir / HF_DATA_FILE).stat().st_size < most_bytes(TINY)
