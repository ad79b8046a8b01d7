"""The frozen blocks for the hold-out: a stage of its own, so that no experiment waits for it."""

from pathlib import Path

from spam_gpt2.console import run_stage
from spam_gpt2.extraction import Extraction
from spam_gpt2.features import save_features
from spam_gpt2.params import load_params


def main() -> None:
    extraction = Extraction.prepare(load_params().extract_features.batch_tokens)
    features = extraction.run(Path("data/prepared/holdout.csv"))
    save_features(Path("data/features/holdout.safetensors"), features)


if __name__ == "__main__":
    run_stage(main, __file__)
