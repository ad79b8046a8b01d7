"""Random weights in OpenAI's layout: the same files and arithmetic as the real ones, no meaning.

    python benchmarks/random_checkpoint.py --size 124M FOLDER

A pipeline runs on them with `fetch_gpt2.sources: [FOLDER]` and `fetch_gpt2.verify: false`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spam_gpt2.checkpoint import write_checkpoint
from spam_gpt2.gpt2_sources import SIZES
from spam_gpt2.weights import random_gpt2

STAND_IN_DIR = Path(__file__).parent.parent / "models/gpt2-mini"


def write_random_checkpoint(folder: Path, size: str, vocabulary_dir: Path, seed: int = 123) -> None:
    """Write the seven files of a size, drawn as GPT-2 is initialised."""
    model = random_gpt2(SIZES[size], seed)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    write_checkpoint(folder, SIZES[size], weights, vocabulary_dir)


def main() -> None:
    """Parse the command line and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=SIZES, default="124M")
    parser.add_argument(
        "--vocabulary", type=Path, default=STAND_IN_DIR,
        help="folder with encoder.json and vocab.bpe (the stand-in's smaller vocabulary)",
    )  # fmt: skip
    args = parser.parse_args()
    write_random_checkpoint(args.folder, args.size, args.vocabulary)


if __name__ == "__main__":
    main()
