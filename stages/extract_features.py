"""The frozen blocks, run once for every message of train, validation and test."""

from pathlib import Path

from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import write_json
from spam_gpt2.common.launch import is_to_launch, launch
from spam_gpt2.common.params import load_params
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.features.extraction import Extraction
from spam_gpt2.features.features import save_features
from spam_gpt2.gpt2.processes import writes

FEATURES_DIR = Path("data/features")
METRICS_PATH = Path("metrics/tokens.json")


def main() -> int | None:
    params = load_params()
    if is_to_launch(params.compute.processes):
        return launch(params.compute.processes, __file__)
    extraction = Extraction.prepare(params.extract_features.batch_tokens, params.compute)
    lengths = {}
    for split in SPLITS:
        features = extraction.run(Path(f"data/prepared/{split}.csv"))
        lengths[split] = extraction.describe(features)
        if writes():
            save_features(FEATURES_DIR / f"{split}.safetensors", features)
    if writes():
        write_json(METRICS_PATH, {"weights": extraction.origin.name, **lengths})
    return None


if __name__ == "__main__":
    run_stage(main, __file__)
