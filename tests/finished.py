"""A small project as the pipeline leaves it, with a tiny model."""

from __future__ import annotations

import json
import runpy
from contextlib import chdir
from pathlib import Path

import pandas as pd
import torch
import yaml
from conftest import ROOT, TINY
from trained import save_trained

from spam_gpt2.classifier.artifacts import load_classifier
from spam_gpt2.classifier.predict import Predictor
from spam_gpt2.data.messages import read_split, write_split
from spam_gpt2.features.features import extract_features, save_features
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.tokenizer import load_tokenizer
from spam_gpt2.gpt2.weights import random_gpt2

SPLITS = {"train": 10, "validation": 20, "test": 30}
LABELS = ["ham", "spam"]
AWKWARD = ["£1000 ü 你好 😀", 'a "quote", a comma', "two\nlines", "NA", " spaces around ", "12"]


def write_project(root: Path) -> None:
    """A small project as the pipeline leaves it; its labels are four in five what it predicts."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["evaluate"]["resamples"] = 100
    params["prepare"]["path"] = "messages.csv"
    (root / "messages.csv").write_text("label,text\nham,ok\n")
    (root / "data/raw").mkdir(parents=True)
    (root / "data/raw/SMSSpamCollection").write_text("ham\tof no use here\n")
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    save_trained(root, random_gpt2(TINY, seed=1), trainable="all")
    predictor = Predictor.load(root / "models/classifier", root / "models/gpt2")
    for split, count in SPLITS.items():
        texts = [*AWKWARD, *(f"message {i * i} of {split}" for i in range(count - len(AWKWARD)))]
        predicted = [LABELS.index(each.label) for each in predictor.predict(texts)]
        labels = [LABELS[p ^ (i % 5 == 0)] for i, p in enumerate(predicted)]
        messages = pd.DataFrame({"line": range(1, count + 1), "label": labels, "text": texts})
        write_split(root / f"data/prepared/{split}.csv", messages)
    (root / "data/campaigns.csv").write_text("campaign,split,line,label,text\n")
    for folder in ("metrics", "plots/finetune"):
        (root / folder).mkdir(parents=True)
    (root / "metrics/baseline.json").write_text('{"test": {"accuracy": 0.5}}')
    training = {"weights": "tiny", "device": "cpu", "precision": "float32", "steps": 1}
    (root / "metrics/training.json").write_text(json.dumps(training))
    for name, x in (("loss", "step"), ("accuracy", "epoch")):
        (root / f"plots/finetune/{name}.csv").write_text(f"{x},train_{name}\n1,0.5\n")
        (root / f"plots/finetune/{name}.png").write_bytes(b"a picture")


def evaluate(root: Path) -> dict[str, float]:
    """Run the stage that evaluates, from features as it finds them; validation's figures."""
    classifier, card = load_classifier(root / "models/classifier", root / "models/gpt2")
    tokenizer = load_tokenizer(root / "models/gpt2")
    for split in SPLITS:
        table = read_split(root / f"data/prepared/{split}.csv")
        messages = encode_messages(tokenizer, table["text"].tolist(), card.max_length)
        labels = torch.tensor([LABELS.index(label) for label in table["label"]])
        features = extract_features(classifier, messages, labels, cut=2, batch_tokens=50)
        save_features(root / f"data/features/{split}.safetensors", features)
    with chdir(root):
        runpy.run_path(str(ROOT / "stages/evaluate.py"))["main"]()
    return json.loads((root / "metrics/gpt2.json").read_text())["validation"]
