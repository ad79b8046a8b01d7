"""The converted weights: a folder with a config, the tensors and the vocabulary."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from spam_gpt2.common.files import InputError, sha256_of, whole_file, write_json
from spam_gpt2.common.verified import is_verified, remember
from spam_gpt2.gpt2.config import CONFIG_FILE, VOCABULARY_FILES, GPT2Config, Origin, read_config
from spam_gpt2.gpt2.model import GPT2, gpt2_from_weights, init_weights

WEIGHTS_FILE = "weights.safetensors"


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors as safetensors, whole or not at all, without a copy in memory.

    Raises: InputError when there is no room for them.
    """
    with whole_file(path) as beside_path:
        try:
            save_file({k: t.detach().contiguous() for k, t in tensors.items()}, beside_path)
        except SafetensorError as error:  # what it makes of any OSError
            raise InputError(f"{path}: cannot be written: {error}") from None


def load_tensors(path: Path, again: str = "`dvc repro` makes it anew") -> dict[str, Tensor]:
    """Memory-map a safetensors file: pages are read when they are used.

    Args:
        again: how the file is made or fetched anew, for the error.

    Raises: InputError when it is missing or damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; {again.removesuffix(' anew')}")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path}: damaged: {error}; {again}") from None


def save_weights(
    out_dir: Path,
    config: GPT2Config,
    weights: Mapping[str, Tensor],
    name: str,
    vocabulary_dir: Path,
) -> None:
    """Write a weights folder; `config.json` comes last and names the weights and their digest.

    Raises: InputError for a weight that is NaN or infinite, before anything is written.
    """
    check_finite(weights, vocabulary_dir)
    save_tensors(out_dir / WEIGHTS_FILE, weights)
    for file in VOCABULARY_FILES:
        with whole_file(out_dir / file) as beside_path:
            shutil.copyfile(vocabulary_dir / file, beside_path)
    digest = sha256_of(out_dir / WEIGHTS_FILE)
    write_json(
        out_dir / CONFIG_FILE, {"name": name, "weights_sha256": digest, "hparams": vars(config)}
    )


def load_gpt2(weights_dir: Path) -> tuple[GPT2, Origin]:
    """The model on memory-mapped weights, and which weights they are."""
    config, origin = read_config(weights_dir)
    path = weights_dir / WEIGHTS_FILE
    tensors = load_tensors(path)
    model = gpt2_from_weights(config, tensors)
    verify_tensors(path, tensors, origin.sha256)
    return model, origin


def check_finite(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Raises: InputError that names the first tensor with a NaN or an infinity."""
    for name, tensor in tensors.items():
        # Any of them makes the sum one; what overflows is looked at one by one.
        if tensor.is_floating_point() and not (
            torch.isfinite(tensor.detach().sum()) or torch.isfinite(tensor.detach()).all()
        ):
            raise InputError(f"{path}: tensor {name} has values that are no finite numbers")


def verify_tensors(path: Path, tensors: Mapping[str, Tensor], sha256: str) -> None:
    """Check a tensors file's digest and that all its numbers are finite, once a file version.

    Raises: InputError.
    """
    if is_verified(path, sha256):
        return
    if sha256_of(path) != sha256:
        raise InputError(
            f"{path}: not the file that was written, by its SHA-256; "
            "`dvc checkout --force` or `dvc repro` brings it back"
        )
    check_finite(tensors, path)
    remember(path, sha256)


def random_gpt2(config: GPT2Config, seed: int) -> GPT2:
    """A model of the same size with GPT-2's initial random weights."""
    model = GPT2(config)
    init_weights(model, seed)
    return model


def build_gpt2(weights_dir: Path, init: str, init_seed: int | None) -> tuple[GPT2, Origin]:
    """The pretrained model, or a random one of the same size, as `classifier.init` says."""
    if init == "random":
        config, origin = read_config(weights_dir)
        return random_gpt2(config, init_seed), Origin(f"random ({origin.name})", origin.sha256)
    return load_gpt2(weights_dir)
