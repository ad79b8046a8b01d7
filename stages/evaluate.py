"""Metrics, confusion matrices, curves and predictions of the classifier on the three splits."""

from pathlib import Path

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import read_csv
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.data.splits import SPLITS
from spam_gpt2.evaluation.evaluation import write_evaluation
from spam_gpt2.features.features import class_probabilities, load_features
from spam_gpt2.gpt2.compute import Compute


def main() -> None:
    params = load_params()
    classifier, card = load_classifier(Path("models/classifier"), Path("models/gpt2"))
    Compute.start(params.compute).place_frozen(classifier)
    splits = {}
    for split in SPLITS:
        features = load_features(Path(f"data/features/{split}.safetensors"))
        probabilities = class_probabilities(classifier, features)
        splits[split] = (read_split(Path(f"data/prepared/{split}.csv")), probabilities)
    model = {"weights": card.weights, "weights_sha256": card.weights_sha256}
    campaigns = read_csv(Path("data/campaigns.csv"), ["split", "label", "text"])
    write_evaluation("gpt2", model, splits, card.labels, params.evaluate, campaigns)


if __name__ == "__main__":
    run_stage(main, __file__)
