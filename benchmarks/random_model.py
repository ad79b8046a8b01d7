"""A model as `make register` makes it, of any size, with random weights: speed without meaning."""

from __future__ import annotations

import shutil
from pathlib import Path

import mlflow
from random_checkpoint import STAND_IN_DIR, fill_vocabulary

from spam_gpt2.classifier.artifacts import CARD_FILE, TENSORS_FILE, Card, save_classifier
from spam_gpt2.classifier.trainable import unfreeze
from spam_gpt2.gpt2.config import CONFIG_FILE, VOCABULARY_FILES, read_config
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.sources import SIZES
from spam_gpt2.gpt2.weights import WEIGHTS_FILE, random_gpt2, save_weights
from spam_gpt2.tracking.registry import PACKAGE_DIR, SERVING_PATH
from spam_gpt2.tracking.serving import signature

LABELS = ["ham", "spam"]


def save_random_model(folder: Path, size: str, precision: str = "float32") -> Path:
    """Write `folder/model` for MLflow and the files that it is made of; returns the model's."""
    weights_dir, classifier_dir = folder / "gpt2", folder / "classifier"
    vocabulary_dir = folder / "vocabulary"
    vocabulary_dir.mkdir(parents=True)
    for name in VOCABULARY_FILES:
        shutil.copyfile(STAND_IN_DIR / name, vocabulary_dir / name)
    gpt2 = random_gpt2(SIZES[size], 1)
    fill_vocabulary(vocabulary_dir, gpt2.config.n_vocab)
    save_weights(weights_dir, gpt2.config, dict(gpt2.named_parameters()), size, vocabulary_dir)
    _, origin = read_config(weights_dir)
    card = Card(
        labels=LABELS, position="last_token", causal=True, max_length=120, pad=False,
        init="pretrained", init_seed=123, trainable="last_block", lora_rank=4, lora_alpha=8.0,
        weights=origin.name, weights_sha256=origin.sha256, device="cpu", precision=precision,
    )  # fmt: skip
    classifier = GPT2Classifier(gpt2, len(LABELS), card.position, card.causal)
    unfreeze(classifier, card.trainable, card.lora_rank, card.lora_alpha)
    save_classifier(classifier_dir, classifier, card)
    files = [classifier_dir / name for name in (CARD_FILE, TENSORS_FILE)]
    files += [weights_dir / name for name in (CONFIG_FILE, WEIGHTS_FILE, *VOCABULARY_FILES)]
    mlflow.pyfunc.save_model(
        str(folder / "model"),
        python_model=str(SERVING_PATH),
        artifacts={path.name: str(path) for path in files},
        code_paths=[str(PACKAGE_DIR)],
        signature=signature(LABELS),
        pip_requirements=[],
    )
    return folder / "model"
