"""What the features depend on, out of all parameters: those with the same plan share them."""

from functools import partial
from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.folding import Fold, fold_texts
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.features.plan import make_plan, save_plan
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.tokenizer import load_tokenizer

WEIGHTS_DIR = Path("models/gpt2")


def main() -> None:
    config, _ = read_config(WEIGHTS_DIR)
    params = load_params()
    longest = partial(longest_training_message, config.n_vocab, params.classifier.fold or [])
    save_plan(make_plan(params, config.n_layer, config.n_ctx, longest))


def longest_training_message(n_vocab: int, folds: list[Fold]) -> int:
    """In tokens."""
    texts = fold_texts(read_split(Path("data/prepared/train.csv"))["text"], folds)
    tokenizer = load_tokenizer(WEIGHTS_DIR, n_vocab)
    return max(map(len, tokenizer.encode_ordinary_batch(texts)))


if __name__ == "__main__":
    run_stage(main, __file__)
