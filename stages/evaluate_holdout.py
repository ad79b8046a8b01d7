"""False positives on the hold-out: the messages that balancing left over, at their natural rate."""

from pathlib import Path

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.params import load_params
from spam_gpt2.data.messages import read_split
from spam_gpt2.evaluation.holdout import write_holdout_evaluation
from spam_gpt2.features.features import class_probabilities, load_features
from spam_gpt2.gpt2.compute import Compute


def main() -> None:
    params = load_params()
    classifier, card = load_classifier(Path("models/classifier"), Path("models/gpt2"))
    Compute.start(params.compute).place_frozen(classifier)
    messages = read_split(Path("data/prepared/holdout.csv"))
    features = load_features(Path("data/features/holdout.safetensors"))
    probabilities = class_probabilities(classifier, features)
    model = {"weights": card.weights, "weights_sha256": card.weights_sha256}
    write_holdout_evaluation(model, (messages, probabilities), card.labels, params.evaluate)


if __name__ == "__main__":
    run_stage(main, __file__)
