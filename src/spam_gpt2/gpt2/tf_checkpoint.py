"""OpenAI's TensorFlow checkpoint: its names and shapes, reading it, writing one.

TensorFlow is imported inside the functions that need it: it takes seconds, and only the stage
convert_gpt2 (and the tools that write checkpoints) pay for it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from spam_gpt2.common.console import held_stderr
from spam_gpt2.common.files import InputError, read_json, write_json, write_text
from spam_gpt2.common.validation import read_checked
from spam_gpt2.gpt2.config import VOCABULARY_FILES, GPT2Config
from spam_gpt2.gpt2.model import expected_shapes

DATA_FILE = "model.ckpt.data-00000-of-00001"
OPENAI_FILES = (
    "checkpoint",
    "encoder.json",
    "hparams.json",
    DATA_FILE,
    "model.ckpt.index",
    "model.ckpt.meta",
    "vocab.bpe",
)

# Our name of a tensor, without `h.<i>.`, and OpenAI's, without `model/` and `h<i>/`. OpenAI's `w`
# are 1-wide convolutions of shape (1, in, out); torch's Linear keeps (out, in).
BLOCK_NAMES = {
    "ln_1.weight": "ln_1/g",
    "ln_1.bias": "ln_1/b",
    "attn.c_attn.weight": "attn/c_attn/w",
    "attn.c_attn.bias": "attn/c_attn/b",
    "attn.c_proj.weight": "attn/c_proj/w",
    "attn.c_proj.bias": "attn/c_proj/b",
    "ln_2.weight": "ln_2/g",
    "ln_2.bias": "ln_2/b",
    "mlp.c_fc.weight": "mlp/c_fc/w",
    "mlp.c_fc.bias": "mlp/c_fc/b",
    "mlp.c_proj.weight": "mlp/c_proj/w",
    "mlp.c_proj.bias": "mlp/c_proj/b",
}
OUTER_NAMES = {
    "wte.weight": "wte",
    "wpe.weight": "wpe",
    "ln_f.weight": "ln_f/g",
    "ln_f.bias": "ln_f/b",
}


def openai_name(name: str) -> str:
    """OpenAI's name of one of our tensors: `h.3.ln_1.bias` is `model/h3/ln_1/b`."""
    if name in OUTER_NAMES:
        return f"model/{OUTER_NAMES[name]}"
    _, block, rest = name.split(".", 2)
    return f"model/h{block}/{BLOCK_NAMES[rest]}"


def read_hparams(checkpoint_dir: Path) -> GPT2Config:
    """The model's size from `hparams.json`; InputError when it is not OpenAI's five numbers."""
    what = "expected n_vocab, n_ctx, n_embd, n_head, n_layer"
    return read_checked(checkpoint_dir / "hparams.json", GPT2Config, what, remedy="")


def read_checkpoint(checkpoint_dir: Path) -> tuple[GPT2Config, dict[str, np.ndarray]]:
    """Size and weights of a checkpoint, under our names and in our shapes, float32.

    TensorFlow verifies the CRC-32C of every tensor as it reads. Raises InputError, in one line,
    for files that are missing, truncated, corrupted, or that do not fit `hparams.json`.
    """
    config = read_hparams(checkpoint_dir)
    weights = {}
    for name, tensor in _read_tensors(checkpoint_dir, config):
        is_convolution = tensor.ndim == 3
        weights[name] = np.ascontiguousarray(tensor[0].T) if is_convolution else tensor
    return config, weights


def openai_settings_and_params(checkpoint_dir: Path) -> tuple[dict[str, int], dict[str, Any]]:
    """Settings and parameters in the nested form that GPT-2 tutorials use.

    Returns: `hparams.json` as a dictionary, and a dictionary with five keys: `wte` (V, D), `wpe`
    (C, D), `blocks` (one dictionary a block, e.g. `blocks[0]["attn"]["c_attn"]["w"]` of (D, 3D)),
    and the final norm's scale `g` and shift `b`, (D,) each.
    """
    config = read_hparams(checkpoint_dir)
    params: dict[str, Any] = {"blocks": [{} for _ in range(config.n_layer)]}
    for name, tensor in _read_tensors(checkpoint_dir, config):
        path = openai_name(name).removeprefix("model/").removeprefix("ln_f/").split("/")
        here = params
        if name.startswith("h."):
            here = params["blocks"][int(path.pop(0).removeprefix("h"))]
        for key in path[:-1]:
            here = here.setdefault(key, {})
        here[path[-1]] = tensor[0] if tensor.ndim == 3 else tensor
    return read_json(checkpoint_dir / "hparams.json"), params


def write_checkpoint(
    checkpoint_dir: Path,
    config: GPT2Config,
    weights: Mapping[str, np.ndarray],
    vocabulary_dir: Path,
) -> None:
    """Write the seven files in OpenAI's layout, from weights under our names and shapes."""
    tf = _tensorflow().compat.v1
    tf.logging.set_verbosity(tf.logging.ERROR)  # it would rather have version 2's checkpoints
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    with tf.Graph().as_default(), tf.Session() as session:
        for name in expected_shapes(config):
            value = np.asarray(weights[name], dtype=np.float32)
            value = value.T[None] if _is_convolution(name) else value
            variable = tf.get_variable(openai_name(name), value.shape, tf.float32)
            variable.load(value, session)
        saver = tf.train.Saver(write_version=tf.train.SaverDef.V2)
        saver.save(session, str(checkpoint_dir.absolute() / "model.ckpt"))
    # TensorFlow notes the path that it wrote to; OpenAI's file names the checkpoint beside it.
    pointer = 'model_checkpoint_path: "model.ckpt"\nall_model_checkpoint_paths: "model.ckpt"\n'
    write_text(checkpoint_dir / "checkpoint", pointer)
    write_json(checkpoint_dir / "hparams.json", vars(config))
    for name in VOCABULARY_FILES:
        shutil.copyfile(vocabulary_dir / name, checkpoint_dir / name)


def _is_convolution(name: str) -> bool:
    return name.startswith("h.") and BLOCK_NAMES[name.split(".", 2)[2]].endswith("/w")


def _openai_shape(name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *reversed(shape)) if _is_convolution(name) else shape


def _tensorflow() -> ModuleType:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # its start-up notes are no news here
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")  # it reads files; the GPU is torch's
    with held_stderr():  # what it says before it knows of the first of these
        import tensorflow

    return tensorflow


def _read_tensors(checkpoint_dir: Path, config: GPT2Config) -> Iterator[tuple[str, np.ndarray]]:
    """Our name and OpenAI's array of every tensor, checked against `hparams.json` first."""
    tf = _tensorflow()
    again = f"fetch it again: rm -r {checkpoint_dir} && dvc repro --force fetch_gpt2"
    for file in ("model.ckpt.index", DATA_FILE):
        if not (checkpoint_dir / file).is_file():
            raise InputError(f"{checkpoint_dir / file}: no such file; {again}")
    try:
        reader = tf.train.load_checkpoint(str(checkpoint_dir / "model.ckpt"))
        found = {k: tuple(v) for k, v in reader.get_variable_to_shape_map().items()}
        types = reader.get_variable_to_dtype_map()
    except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
        raise InputError(
            f"{checkpoint_dir / 'model.ckpt.index'}: damaged, {_first_line(error)}; {again}"
        ) from error
    _check_names_and_shapes(checkpoint_dir, config, found)
    for name, kind in types.items():
        if kind != tf.float32:
            raise InputError(
                f"{checkpoint_dir / 'model.ckpt.index'}: tensor {name} is {kind.name}, "
                "but GPT-2's weights are float32"
            )
    for name in expected_shapes(config):
        try:
            yield name, reader.get_tensor(openai_name(name))
        except (tf.errors.OpError, ValueError, RuntimeError, IndexError) as error:
            raise InputError(
                f"{checkpoint_dir / DATA_FILE}: truncated or damaged at tensor "
                f"{openai_name(name)}, {_first_line(error)}; {again}"
            ) from error


def _check_names_and_shapes(
    checkpoint_dir: Path, config: GPT2Config, found: Mapping[str, tuple[int, ...]]
) -> None:
    expected = {openai_name(k): _openai_shape(k, v) for k, v in expected_shapes(config).items()}
    index_path = checkpoint_dir / "model.ckpt.index"
    for name in sorted(expected.keys() - found.keys()):
        raise InputError(
            f"{index_path}: no tensor {name}; this is not the GPT-2 that hparams.json describes"
        )
    for name in sorted(found.keys() - expected.keys()):
        raise InputError(
            f"{index_path}: tensor {name} has no place in the GPT-2 that hparams.json describes"
        )
    for name, shape in expected.items():
        if found[name] != shape:
            raise InputError(
                f"{index_path}: tensor {name} has shape {found[name]}, "
                f"but hparams.json asks for {shape}; the files are of different models"
            )


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
