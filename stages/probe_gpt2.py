"""Is it really GPT-2? A continuation, a zero-shot question, a perplexity and the shapes."""

from pathlib import Path

from spam_gpt2.common.console import run_stage, say
from spam_gpt2.common.files import write_text
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.params import load_params
from spam_gpt2.gpt2.probe import EXPECTED_124M, probe, report
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import load_gpt2, random_gpt2

WEIGHTS_DIR = Path("models/gpt2")


def main() -> None:
    seed = load_params().classifier.init_seed
    model, origin = load_gpt2(WEIGHTS_DIR)
    tokenizer = load_tokenizer(WEIGHTS_DIR, model.config.n_vocab)
    labels = read_labels()
    result = probe(model, random_gpt2(model.config, seed), tokenizer, len(labels))
    if origin.name == "gpt2-124M" and result.continuation != EXPECTED_124M:
        say(f"WARNING: GPT-2 124M should go on with {EXPECTED_124M!r}")
    write_text(Path("reports/probe.md"), report(result, origin.name))


if __name__ == "__main__":
    run_stage(main, __file__)
