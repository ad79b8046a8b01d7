"""Fine-tune the classification head and the last blocks on the cached features."""

from pathlib import Path

import pandas as pd
import torch

from spam_gpt2.artifacts import Card, build_gpt2, save_classifier
from spam_gpt2.classifier import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.console import run_stage
from spam_gpt2.features import load_features
from spam_gpt2.figures import save_curves
from spam_gpt2.files import read_json, write_json, write_text
from spam_gpt2.params import fitting_blocks, load_params
from spam_gpt2.training import Curves, finetune

WEIGHTS_DIR = Path("models/gpt2")
FEATURES_DIR = Path("data/features")
PLOTS_DIR = Path("plots/finetune")


def main() -> None:
    params = load_params()
    gpt2, origin = build_gpt2(WEIGHTS_DIR, params.classifier.init, params.classifier.init_seed)
    blocks = fitting_blocks(params.finetune.trainable, gpt2.config.n_layer)
    labels = read_json(Path("data/prepared/labels.json"))
    torch.manual_seed(params.finetune.seed)
    classifier = GPT2Classifier(
        gpt2, len(labels), params.classifier.position, params.classifier.causal
    )
    set_trainable(classifier, params.finetune.trainable, blocks)
    train, validation = (
        load_features(FEATURES_DIR / f"{split}.safetensors") for split in ("train", "validation")
    )
    curves = finetune(classifier, train, validation, params.finetune)
    card = Card(
        labels=labels,
        position=params.classifier.position,
        causal=params.classifier.causal,
        init=params.classifier.init,
        init_seed=params.classifier.init_seed,
        trainable=params.finetune.trainable,
        weights=origin.name,
        weights_sha256=origin.sha256,
        **read_json(FEATURES_DIR / "encoding.json"),
    )
    save_classifier(Path("models/classifier"), classifier, card)
    write_curves(curves)
    trained = trained_tensors(classifier).values()
    summary = {
        "weights": origin.name,
        "trainable_parameters": sum(tensor.numel() for tensor in trained),
        "steps": int(curves.steps[-1]["step"]),
        "train_loss": curves.steps[-1]["train_loss"],
        "validation_loss": curves.steps[-1]["validation_loss"],
    }
    write_json(Path("metrics/training.json"), summary)


def write_curves(curves: Curves) -> None:
    """Loss by step and accuracy by epoch, as CSV and as pictures."""
    for name, points, x in (("loss", curves.steps, "step"), ("accuracy", curves.epochs, "epoch")):
        table = pd.DataFrame(points)
        write_text(PLOTS_DIR / f"{name}.csv", table.to_csv(index=False, lineterminator="\n"))
        lines = {
            split: (table[x].to_numpy(), table[f"{split}_{name}"].to_numpy())
            for split in ("train", "validation")
        }
        save_curves(PLOTS_DIR / f"{name}.png", lines, title=name.capitalize(), x=x, y=name)


if __name__ == "__main__":
    run_stage(main, __file__)
