"""Random weights in OpenAI's layout: the same files and arithmetic as the real ones, no meaning.

    python benchmarks/random_checkpoint.py --size 124M FOLDER

A pipeline runs on them with `fetch_gpt2.sources: [FOLDER]` and `fetch_gpt2.verify: false`.
"""

from __future__ import annotations

import argparse
from itertools import chain, islice, product
from pathlib import Path

from spam_gpt2.common.files import read_json, write_json, write_text
from spam_gpt2.gpt2.config import VOCABULARY_FILES
from spam_gpt2.gpt2.sources import SIZES
from spam_gpt2.gpt2.tf_checkpoint import write_checkpoint
from spam_gpt2.gpt2.tokenizer import END_OF_TEXT
from spam_gpt2.gpt2.weights import random_gpt2

STAND_IN_DIR = Path(__file__).parent.parent / "models/gpt2-mini"


def write_random_checkpoint(folder: Path, size: str, vocabulary_dir: Path, seed: int = 123) -> None:
    """Write the seven files of a size, drawn as GPT-2 is initialised."""
    model = random_gpt2(SIZES[size], seed)
    weights = {name: p.detach().numpy() for name, p in model.named_parameters()}
    write_checkpoint(folder, SIZES[size], weights, vocabulary_dir)
    fill_vocabulary(folder, SIZES[size].n_vocab)


def fill_vocabulary(folder: Path, n_vocab: int) -> None:
    """Bring a smaller vocabulary to the model's size, by merges of control characters.

    They follow all others and no message contains them, so no text gets other tokens. OpenAI's
    own vocabulary has the right size and stays as it is.
    """
    encoder_path, bpe_path = (folder / name for name in VOCABULARY_FILES)
    ids = read_json(encoder_path)
    missing = n_vocab - len(ids)
    controls = [chr(256 + byte) for byte in range(1, 17)]  # as the files spell the bytes 1 to 16
    pairs = ["".join(pair) for pair in product(controls, repeat=2)]
    fillers = list(islice(chain(product(controls, repeat=2), product(pairs, repeat=2)), missing))
    first_id = ids.pop(END_OF_TEXT)
    ids |= {"".join(merge): first_id + i for i, merge in enumerate(fillers)}
    ids[END_OF_TEXT] = first_id + missing
    write_json(encoder_path, ids)
    lines = "".join(f"{first} {second}\n" for first, second in fillers)
    write_text(bpe_path, bpe_path.read_text(encoding="utf-8") + lines)


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
