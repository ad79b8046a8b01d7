"""Fine-tune the classification head and the last blocks on the cached features."""

from pathlib import Path

from spam_gpt2.classifier.artifacts import Card, save_classifier
from spam_gpt2.classifier.trainable import untrained_classifier
from spam_gpt2.common.console import run_stage
from spam_gpt2.common.files import InputError, write_json
from spam_gpt2.common.labels import read_labels
from spam_gpt2.common.launch import is_to_launch, launch
from spam_gpt2.common.params import load_params
from spam_gpt2.features.features import check_fit, load_features
from spam_gpt2.features.plan import load_plan
from spam_gpt2.figures.training_curves import save_training_curves
from spam_gpt2.gpt2.compute import Compute
from spam_gpt2.gpt2.config import read_config
from spam_gpt2.gpt2.head import trained_tensors
from spam_gpt2.gpt2.processes import writes
from spam_gpt2.training.checkpoints import checkpoints_of
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.watcher import Watcher

WEIGHTS_DIR, FEATURES_DIR = Path("models/gpt2"), Path("data/features")
LIVE = "spam_gpt2.tracking.live"  # a process of its own: no change of it trains anew


def main() -> int | None:
    params = load_params()
    if is_to_launch(params.compute.processes):
        return launch(params.compute.processes, __file__)
    chosen, settings = params.classifier, params.finetune
    labels = read_labels()
    compute = Compute.start(params.compute, read_config(WEIGHTS_DIR)[0])
    classifier, origin = untrained_classifier(WEIGHTS_DIR, len(labels), chosen, settings)
    plan = load_plan(classifier.gpt2.config)
    compute.place(classifier)
    train, validation = (
        load_features(FEATURES_DIR / f"{split}.safetensors") for split in ("train", "validation")
    )
    if {train.cut, validation.cut} != {plan.cut}:
        raise InputError(f"{FEATURES_DIR}: not the features that the plan asks for; `dvc repro`")
    for features in (train, validation):
        check_fit(features, classifier)
    checkpoints = checkpoints_of(params, compute)
    is_shown = params.track.enabled and params.track.live and writes()
    watcher = Watcher(LIVE if is_shown else None)
    watcher.tell(training=checkpoints.fingerprint, weights=origin.name, **compute.describe())
    curves = finetune(classifier, train, validation, settings, checkpoints, watcher.row)
    if not writes():
        return None
    card = Card.of(labels, params, plan, origin, compute)
    save_classifier(Path("models/classifier"), classifier, card)
    save_training_curves(Path("plots/finetune"), curves.steps, curves.epochs)
    trained = trained_tensors(classifier).values()
    summary = {
        "weights": origin.name,
        **compute.describe(),
        "threads": compute.threads,  # of each process; other numbers round otherwise
        "processes": compute.processes,
        "trainable_parameters": sum(tensor.numel() for tensor in trained),
        "steps": curves.total_steps,
        **{name: curves.steps[-1][name] for name in ("train_loss", "validation_loss")},
        **curves.kept,
    }
    write_json(Path("metrics/training.json"), summary)
    checkpoints.remove()
    watcher.tell(saved=True)
    watcher.end()
    return None


if __name__ == "__main__":
    run_stage(main, __file__)
