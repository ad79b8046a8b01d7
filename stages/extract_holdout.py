"""The frozen blocks for the hold-out: a stage of its own, so that no experiment waits for it."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.launch import is_to_launch, launch
from spam_gpt2.common.params import load_params
from spam_gpt2.features.extraction import Extraction
from spam_gpt2.features.features import save_features
from spam_gpt2.gpt2.processes import writes


def main() -> int | None:
    params = load_params()
    if is_to_launch(params.compute.processes):
        return launch(params.compute.processes, __file__)
    extraction = Extraction.prepare(params.extract_features.batch_tokens, params.compute)
    features = extraction.run(Path("data/prepared/holdout.csv"))
    if writes():
        save_features(Path("data/features/holdout.safetensors"), features)
    return None


if __name__ == "__main__":
    run_stage(main, __file__)
