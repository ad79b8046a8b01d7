"""Export folders: whole or not at all, and the files that say how their model is used."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spam_gpt2.classifier.artifacts import Card
from spam_gpt2.common.download import scratch_folder
from spam_gpt2.common.files import InputError, write_json
from spam_gpt2.gpt2.config import CONFIG_FILE, GPT2Config
from spam_gpt2.gpt2.hf_checkpoint import HF_FILES
from spam_gpt2.gpt2.tokenizer import END_OF_TEXT


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write to, which takes its place at the end, if there is no error.

    Raises: InputError when the place is taken by what is no export.
    """
    if path.exists() and not (path / CONFIG_FILE).is_file():
        raise InputError(f"{path}: no export, and would be replaced; choose another --output")
    with scratch_folder(beside=path) as scratch:
        beside_path = Path(scratch) / path.name
        beside_path.mkdir()
        yield beside_path
        if path.exists():
            path.rename(Path(scratch) / "before")  # removed with the scratch folder
        beside_path.rename(path)


def write_model_config(folder: Path, config: GPT2Config, card: Card, end_of_text: int) -> None:
    """`config.json` in transformers' words: the sizes, the labels, and which token pads."""
    values: dict[str, Any] = {
        "architectures": ["GPT2ForSequenceClassification"],
        "model_type": "gpt2",
        "vocab_size": config.n_vocab,
        "n_positions": config.n_ctx,
        "n_embd": config.n_embd,
        "n_head": config.n_head,
        "n_layer": config.n_layer,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "bos_token_id": end_of_text,
        "eos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "problem_type": "single_label_classification",
        "id2label": {str(number): label for number, label in enumerate(card.labels)},
        "label2id": {label: number for number, label in enumerate(card.labels)},
        "dtype": "float32",
    }
    write_json(folder / CONFIG_FILE, values)


def write_tokenizer(folder: Path, weights_dir: Path, card: Card) -> None:
    """The vocabulary under transformers' names, and how long a message may be.

    `split_special_tokens`: the characters `<|endoftext|>` in a message are text, as with us.
    """
    for ours in ("encoder.json", "vocab.bpe"):
        shutil.copyfile(weights_dir / ours, folder / HF_FILES[ours])
    values = {
        "tokenizer_class": "GPT2Tokenizer",
        "model_max_length": card.max_length,
        "padding_side": "right",
        "truncation_side": "right",
        "add_prefix_space": False,
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": True,
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), END_OF_TEXT),
    }
    write_json(folder / "tokenizer_config.json", values)


def megabytes(path: Path) -> float:
    """The size of a file, or of all files in a folder, in MB of 10^6 bytes."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file()) / 1e6
