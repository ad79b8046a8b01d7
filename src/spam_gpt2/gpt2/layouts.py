"""The two layouts in which GPT-2's weights are published: OpenAI's and Hugging Face's."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from spam_gpt2.gpt2.config import CONFIG_FILE, GPT2Config
from spam_gpt2.gpt2.hf_checkpoint import (
    HF_DATA_FILE,
    HF_FILES,
    read_hf_checkpoint,
    read_hf_config,
)
from spam_gpt2.gpt2.tf_checkpoint import DATA_FILE, OPENAI_FILES, read_checkpoint, read_hparams


@dataclass(frozen=True)
class Layout:
    """Which files make a checkpoint, and how they are read."""

    files: Mapping[str, str]  # their names here, and at the source
    size_file: str  # the one that tells the model's size
    data_file: str  # the large one
    read_size: Callable[[Path], GPT2Config]
    read: Callable[[Path], tuple[GPT2Config, dict[str, Tensor]]]  # our names and shapes, float32


def _read_openai(checkpoint_dir: Path) -> tuple[GPT2Config, dict[str, Tensor]]:
    config, arrays = read_checkpoint(checkpoint_dir)
    return config, {name: torch.from_numpy(array) for name, array in arrays.items()}


OPENAI = Layout(
    {file: file for file in OPENAI_FILES}, "hparams.json", DATA_FILE, read_hparams, _read_openai
)
HUGGING_FACE = Layout(HF_FILES, CONFIG_FILE, HF_DATA_FILE, read_hf_config, read_hf_checkpoint)
LAYOUTS = (OPENAI, HUGGING_FACE)


def layout_of(files: Collection[str]) -> Layout | None:
    """The layout that is made up of these files."""
    return next((layout for layout in LAYOUTS if layout.files.keys() == set(files)), None)


def layout_in(checkpoint_dir: Path) -> Layout:
    """The layout whose files are in a folder; OpenAI's when none is whole."""
    return next(
        (it for it in LAYOUTS if all((checkpoint_dir / f).is_file() for f in it.files)), OPENAI
    )
