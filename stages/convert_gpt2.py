"""GPT-2 as it was fetched to weights of ours, checked name by name and shape by shape."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.gpt2.manifest import find_checkpoint
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import save_weights

WEIGHTS_DIR = Path("models/gpt2")


def main() -> None:
    checkpoint_dir, name, layout = find_checkpoint()
    # A damaged or foreign vocabulary shows here, not three stages later.
    load_tokenizer(checkpoint_dir, layout.read_size(checkpoint_dir).n_vocab)
    config, weights = layout.read(checkpoint_dir)
    save_weights(WEIGHTS_DIR, config, weights, name, checkpoint_dir)


if __name__ == "__main__":
    run_stage(main, __file__)
