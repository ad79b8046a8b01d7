"""A classifier as training begins: what it is built on, what is drawn and what is frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR, ROOT

from spam_gpt2.classifier.trainable import untrained_classifier
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import load_params
from spam_gpt2.gpt2.head import GPT2Classifier, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import save_weights

PARAMS = load_params(ROOT / "params.yaml")


@pytest.fixture
def weights_dir(tmp_path: Path, tiny_gpt2: GPT2) -> Path:
    weights = dict(tiny_gpt2.named_parameters())
    save_weights(tmp_path, tiny_gpt2.config, weights, "tiny", MINI_DIR)
    return tmp_path


def made(weights_dir: Path, n_classes: int = 2, init: str = "pretrained", **changes: object):
    chosen = PARAMS.classifier.model_copy(update={"init": init})
    settings = PARAMS.finetune.model_copy(update=changes)
    return untrained_classifier(weights_dir, n_classes, chosen, settings)


def test_it_stands_on_the_weights_with_a_head_of_the_seed(
    weights_dir: Path, tiny_gpt2: GPT2
) -> None:
    classifier, origin = made(weights_dir, n_classes=3, seed=7)
    assert origin.name == "tiny"
    for name, tensor in tiny_gpt2.named_parameters():
        assert torch.equal(classifier.gpt2.get_parameter(name), tensor), name
    torch.manual_seed(7)
    expected = torch.nn.Linear(32, 3)
    assert torch.equal(classifier.head.weight, expected.weight)
    other, _ = made(weights_dir, n_classes=3, seed=8)
    assert not torch.equal(classifier.head.weight, other.head.weight)


def prefixes(classifier: GPT2Classifier) -> set[str]:
    return {".".join(name.split(".")[:3]) for name in trained_tensors(classifier)}


def test_only_what_is_to_be_trained_is_not_frozen(weights_dir: Path) -> None:
    head, norm = {"head.weight", "head.bias"}, {"gpt2.ln_f.weight", "gpt2.ln_f.bias"}
    assert prefixes(made(weights_dir, trainable="head_only")[0]) == head
    assert prefixes(made(weights_dir, trainable="last_block")[0]) == head | norm | {"gpt2.h.2"}
    lora, _ = made(weights_dir, trainable="lora")
    names = set(trained_tensors(lora)) - head
    assert names
    assert all(name.endswith((".A", ".B")) for name in names)


def test_random_weights_are_named_so(weights_dir: Path, tiny_gpt2: GPT2) -> None:
    classifier, origin = made(weights_dir, init="random")
    assert origin.name == "random (tiny)"
    assert not torch.equal(classifier.gpt2.wte.weight, tiny_gpt2.wte.weight)


def test_what_does_not_go_with_model_or_classes_is_refused(weights_dir: Path) -> None:
    with pytest.raises(InputError, match="asks for 5 blocks, but the model has 3"):
        made(weights_dir, trainable="last_5_blocks")
    with pytest.raises(InputError, match="ignore_index: 1 is a class"):
        made(weights_dir, ignore_index=1)
