"""OpenAI's TensorFlow checkpoint to safetensors, checked name by name and shape by shape."""

from pathlib import Path

import torch

from spam_gpt2.checkpoint import read_checkpoint, read_hparams
from spam_gpt2.console import run_stage
from spam_gpt2.files import read_json
from spam_gpt2.tokenizer import load_tokenizer
from spam_gpt2.weights import save_weights

CHECKPOINT_DIR = Path("models/gpt2/checkpoint")
WEIGHTS_DIR = Path("models/gpt2")


def main() -> None:
    # A damaged or foreign vocabulary shows here, not three stages later.
    load_tokenizer(CHECKPOINT_DIR, read_hparams(CHECKPOINT_DIR).n_vocab)
    config, arrays = read_checkpoint(CHECKPOINT_DIR)
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    name = read_json(CHECKPOINT_DIR / "origin.json")["name"]
    save_weights(WEIGHTS_DIR, config, weights, name, CHECKPOINT_DIR)


if __name__ == "__main__":
    run_stage(main, __file__)
