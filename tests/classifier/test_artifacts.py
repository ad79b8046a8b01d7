"""A classifier comes back from disk as it was trained, and only where it belongs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from conftest import MINI_DIR, TINY
from torch import Tensor
from trained import CLASSIFIER_DIR, WEIGHTS_DIR, save_trained

from spam_gpt2.classifier.artifacts import (
    CARD_FILE,
    TENSORS_FILE,
    Card,
    load_classifier,
    save_classifier,
)
from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import (
    WEIGHTS_FILE,
    load_tensors,
    random_gpt2,
    save_tensors,
    save_weights,
)

# What a setting trains and the file has to hold: all whose names begin so.
TRAINED = {
    "head_only": ("head.",),
    "last_block": ("head.", "gpt2.ln_f.", "gpt2.h.2."),
    "last_2_blocks": ("head.", "gpt2.ln_f.", "gpt2.h.1.", "gpt2.h.2."),
    "all": ("head.", "gpt2."),
}
every_setting = pytest.mark.parametrize("trainable", [*TRAINED, "lora"])


def load(root: Path) -> tuple[GPT2Classifier, Card]:
    return load_classifier(root / CLASSIFIER_DIR, root / WEIGHTS_DIR)


def refusal(root: Path) -> str:
    """The one line with which a classifier is refused."""
    with pytest.raises(InputError) as caught:
        load(root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def card_path(root: Path) -> Path:
    return root / CLASSIFIER_DIR / CARD_FILE


def tensors_path(root: Path) -> Path:
    return root / CLASSIFIER_DIR / TENSORS_FILE


def edit_card(root: Path, change: Callable[[dict], object]) -> None:
    values = json.loads(card_path(root).read_text())
    change(values)
    card_path(root).write_text(json.dumps(values))


def edit_tensors(root: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    tensors = {name: tensor.clone() for name, tensor in load_tensors(tensors_path(root)).items()}
    change(tensors)
    save_tensors(tensors_path(root), tensors)


@torch.inference_mode()
def logits(classifier: GPT2Classifier) -> Tensor:
    tokens = torch.randint(4096, (6, 20), generator=torch.Generator().manual_seed(8))
    return classifier(tokens, torch.tensor([20, 1, 7, 20, 3, 12]))


@every_setting
@pytest.mark.parametrize("position", ["last_token", "first_token", "mean_tokens"])
def test_a_classifier_comes_back_as_it_was(
    tmp_path: Path, tiny_gpt2: GPT2, trainable: str, position: str
) -> None:
    fields = {"position": position, "causal": position != "first_token"}
    before = save_trained(
        tmp_path, tiny_gpt2, trainable=trainable, labels=["a", "b", "c"], **fields
    )
    after, card = load(tmp_path)
    state = after.state_dict()
    assert state.keys() == before.state_dict().keys()
    for name, tensor in before.state_dict().items():
        assert torch.equal(state[name], tensor), name
    torch.testing.assert_close(logits(after), logits(before))
    assert (card.labels, card.trainable) == (["a", "b", "c"], trainable)
    assert {"position": card.position, "causal": card.causal} == fields
    assert (after.position, after.causal) == (card.position, card.causal)


def test_it_comes_back_ready_for_use_and_not_for_training(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    save_trained(tmp_path, tiny_gpt2)
    classifier, _ = load(tmp_path)
    assert not classifier.training
    assert not any(parameter.requires_grad for parameter in classifier.parameters())
    assert not any(parameter.is_meta for parameter in classifier.parameters())


@pytest.mark.parametrize("trainable", TRAINED)
def test_only_what_was_trained_is_kept(tmp_path: Path, tiny_gpt2: GPT2, trainable: str) -> None:
    classifier = save_trained(tmp_path, tiny_gpt2, trainable=trainable)
    names = {name for name, _ in classifier.named_parameters()}
    expected = {name for name in names if name.startswith(TRAINED[trainable])}
    assert load_tensors(tensors_path(tmp_path)).keys() == expected


def test_an_adapter_is_kept_without_the_weights_that_it_adapts(
    tmp_path: Path, tiny_gpt2: GPT2
) -> None:
    save_trained(tmp_path, tiny_gpt2, trainable="lora", lora_rank=2)
    kept = load_tensors(tensors_path(tmp_path))
    thin = {name: tensor for name, tensor in kept.items() if not name.startswith("head.")}
    assert len(thin) == 2 * 4 * TINY.n_layer  # two for each of a block's four linear layers
    assert all(min(tensor.shape) == 2 for tensor in thin.values())


def test_the_card_is_json_for_people(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    save_trained(tmp_path, tiny_gpt2, max_length=17, pad=True)
    _, card = load(tmp_path)
    values = json.loads(card_path(tmp_path).read_text())
    assert values == asdict(card)
    assert (values["weights"], values["max_length"], values["pad"]) == ("tiny", 17, True)


def test_a_saving_that_breaks_off_leaves_no_card(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    classifier = save_trained(tmp_path / "whole", tiny_gpt2)
    _, card = load(tmp_path / "whole")
    (tmp_path / TENSORS_FILE).mkdir()  # no file can take this place
    with pytest.raises(OSError, match=TENSORS_FILE):
        save_classifier(tmp_path, classifier, card)
    assert not (tmp_path / CARD_FILE).exists()


def test_a_random_model_is_drawn_again_from_its_seed(tmp_path: Path) -> None:
    before = save_trained(tmp_path, random_gpt2(TINY, seed=5), init="random", init_seed=5)
    (tmp_path / WEIGHTS_DIR / WEIGHTS_FILE).unlink()  # the drawn ones take the place of any
    after, _ = load(tmp_path)
    torch.testing.assert_close(logits(after), logits(before))
    edit_card(tmp_path, lambda values: values.update(init_seed=6))
    other, _ = load(tmp_path)
    assert (logits(other) - logits(before)).abs().max() > 1e-3


def test_a_classifier_of_other_weights_is_refused(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    save_trained(tmp_path, tiny_gpt2)
    other = dict(random_gpt2(TINY, seed=9).named_parameters())
    save_weights(tmp_path / WEIGHTS_DIR, TINY, other, "others", MINI_DIR)
    assert refusal(tmp_path) == (
        f"{tmp_path / CLASSIFIER_DIR}: trained on the weights tiny, but {tmp_path / WEIGHTS_DIR} "
        "holds other ones (others); run `dvc repro`"
    )


@every_setting
def test_each_tensor_that_is_missing_is_named(
    tmp_path: Path, tiny_gpt2: GPT2, trainable: str
) -> None:
    """Left out in silence, the pretrained one would stand in its place."""
    save_trained(tmp_path, tiny_gpt2, trainable=trainable)
    whole = load_tensors(tensors_path(tmp_path))
    for name in whole:
        save_tensors(
            tensors_path(tmp_path), {other: whole[other] for other in whole if other != name}
        )
        assert refusal(tmp_path) == f"{tensors_path(tmp_path)}: no tensor {name}; run `dvc repro`"


def test_a_renamed_tensor_is_refused(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    save_trained(tmp_path, tiny_gpt2)
    old = "gpt2.h.2.attn.c_attn.weight"
    edit_tensors(tmp_path, lambda tensors: tensors.update(other=tensors.pop(old)))
    assert refusal(tmp_path) == f"{tensors_path(tmp_path)}: no tensor {old}; run `dvc repro`"


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("other", (2,)),
        ("gpt2.wte.weight", (4096, 32)),  # of the model, but not what was trained
        ("gpt2.h.1.ln_1.bias", (32,)),
        ("head.weight", (32, 2)),
        ("head.bias", (3,)),
        ("gpt2.ln_f.weight", (1, 32)),
    ],
)
def test_a_tensor_too_many_or_of_another_shape_is_named(
    tmp_path: Path, tiny_gpt2: GPT2, name: str, shape: tuple[int, ...]
) -> None:
    save_trained(tmp_path, tiny_gpt2)
    edit_tensors(tmp_path, lambda tensors: tensors.update({name: torch.zeros(shape)}))
    assert refusal(tmp_path) == (
        f"{tensors_path(tmp_path)}: tensor {name} does not fit the model; run `dvc repro`"
    )


def test_a_card_with_another_number_of_labels_is_refused(tmp_path: Path, tiny_gpt2: GPT2) -> None:
    save_trained(tmp_path, tiny_gpt2)
    edit_card(tmp_path, lambda values: values.update(labels=["ham", "news", "spam"]))
    assert refusal(tmp_path).startswith(f"{tensors_path(tmp_path)}: tensor head.")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda values: values.pop("max_length"), "max_length: is missing"),
        (lambda values: values.pop("tensors_sha256"), "tensors_sha256: is missing"),
        (lambda values: values.update(dropout=0.1),
         "dropout: unknown key, misspelt or of another version"),
        (lambda values: values.update(position="middle", causal=1, labels=["ham", "ham"]),
         "labels: a label is listed twice (and 2 more)"),
        (lambda values: values.update(trainable="most"),
         "trainable: 'most' is not one of head_only, last_block, last_<N>_blocks, all, lora"),
        (lambda values: values.clear(), "labels: is missing (and 13 more)"),
    ],
)  # fmt: skip
def test_a_card_of_another_version_is_refused(
    tmp_path: Path, tiny_gpt2: GPT2, change: Callable[[dict], object], problem: str
) -> None:
    save_trained(tmp_path, tiny_gpt2)
    edit_card(tmp_path, change)
    assert refusal(tmp_path) == (
        f"{card_path(tmp_path)}: not a classifier of this version: {problem}; run `dvc repro`"
    )


@pytest.mark.parametrize("content", ["a list", "null", "5", '"text"'])
def test_a_card_that_is_something_else_is_refused(
    tmp_path: Path, tiny_gpt2: GPT2, content: str
) -> None:
    save_trained(tmp_path, tiny_gpt2)
    card_path(tmp_path).write_text(content.replace("a list", "[]"))
    assert refusal(tmp_path) == (
        f"{card_path(tmp_path)}: not a classifier of this version: must hold keys with values, "
        f"not {content}; run `dvc repro`"
    )


@pytest.mark.parametrize("file", [CARD_FILE, TENSORS_FILE])
def test_missing_and_damaged_files_are_named(tmp_path: Path, tiny_gpt2: GPT2, file: str) -> None:
    save_trained(tmp_path, tiny_gpt2)
    path = tmp_path / CLASSIFIER_DIR / file
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(tmp_path).startswith(f"{path}: ")
    path.unlink()
    assert refusal(tmp_path) == f"{path}: no such file; `dvc repro` makes it"
