"""The frozen blocks for the hold-out: a stage of its own, so that no experiment waits for it."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.params import load_params
from spam_gpt2.features.extraction import Extraction
from spam_gpt2.features.features import save_features


def main() -> None:
    params = load_params()
    extraction = Extraction.prepare(params.extract_features.batch_tokens, params.compute)
    features = extraction.run(Path("data/prepared/holdout.csv"))
    save_features(Path("data/features/holdout.safetensors"), features)


if __name__ == "__main__":
    run_stage(main, __file__)
