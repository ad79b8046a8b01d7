"""Training changes what it may, repeats to the byte, and is the same by the fast path."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import MINI_DIR
from torch import Tensor
from toys import settings, toy_messages

from spam_gpt2.common.blocks import trainable_blocks
from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Finetune
from spam_gpt2.features.features import Features, extract_features
from spam_gpt2.gpt2.batching import Messages
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import WEIGHTS_FILE, load_gpt2, save_tensors, save_weights
from spam_gpt2.training.loop import finetune
from spam_gpt2.training.recipe import accuracy
from spam_gpt2.training.state import Curves

POSITIONS = ["last_token", "last_padded", "first_token", "mean_tokens", "mean_padded"]
N_LAYER = 3  # of the tiny model

# What a setting trains: all whose names begin so.
TRAINED = {
    "head_only": ("head.",),
    "last_block": ("head.", "gpt2.ln_f.", "gpt2.h.2."),
    "last_2_blocks": ("head.", "gpt2.ln_f.", "gpt2.h.1.", "gpt2.h.2."),
    "all": ("head.", "gpt2."),
}
every_setting = pytest.mark.parametrize("trainable", list(TRAINED))


def train(
    gpt2: GPT2,
    setting: Finetune,
    count: int = 10,
    position: str = "last_token",
    causal: bool = True,
) -> tuple[GPT2Classifier, Curves]:
    """Fine-tune on toy messages, with the cut that the settings ask for."""
    torch.manual_seed(setting.seed)
    classifier = GPT2Classifier(gpt2, 2, position, causal)
    blocks = trainable_blocks(setting.trainable, N_LAYER)
    set_trainable(classifier, setting.trainable, blocks)
    cut = N_LAYER - blocks if setting.reuse_frozen else 0
    train_features, validation_features = toy_features(classifier, cut, count)
    return classifier, finetune(classifier, train_features, validation_features, setting)


def toy_features(classifier: GPT2Classifier, cut: int, count: int) -> tuple[Features, Features]:
    splits = toy_messages(count, seed=1), toy_messages(6, seed=2)
    train_split, validation = (extract_features(classifier, *s, cut, 50) for s in splits)
    return train_split, validation


def copies(classifier: GPT2Classifier) -> dict[str, Tensor]:
    return {name: p.detach().clone() for name, p in classifier.named_parameters()}


@every_setting
@pytest.mark.parametrize("reuse_frozen", [True, False])
def test_what_is_frozen_stays_to_the_bit_and_all_else_is_trained(
    tiny_gpt2: GPT2, trainable: str, reuse_frozen: bool
) -> None:
    setting = settings(trainable=trainable, reuse_frozen=reuse_frozen)
    torch.manual_seed(setting.seed)
    before = copies(GPT2Classifier(tiny_gpt2, 2, "last_token"))
    classifier, _ = train(tiny_gpt2, setting)
    for name, parameter in classifier.named_parameters():
        is_trained = name.startswith(TRAINED[trainable])
        assert torch.equal(parameter, before[name]) != is_trained, name


@every_setting
@pytest.mark.parametrize(
    ("position", "causal"), [("last_token", True), ("mean_tokens", False), ("first_token", False)]
)
def test_the_fast_path_trains_as_the_plain_one(
    tiny_gpt2: GPT2, trainable: str, position: str, causal: bool
) -> None:
    assert_same_training(tiny_gpt2, trainable, position, causal)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("causal", [True, False])
def test_the_fast_path_trains_as_the_plain_one_at_every_position(
    tiny_gpt2: GPT2, position: str, causal: bool
) -> None:
    assert_same_training(tiny_gpt2, "last_block", position, causal)


def assert_same_training(gpt2: GPT2, trainable: str, position: str, causal: bool) -> None:
    before = {name: p.detach().clone() for name, p in gpt2.named_parameters()}
    curves = []
    for reuse_frozen in (True, False):
        gpt2.load_state_dict(before)
        setting = settings(trainable=trainable, reuse_frozen=reuse_frozen, epochs=3, log_every=2)
        curves.append(train(gpt2, setting, 14, position, causal)[1])
    fast, plain = curves
    assert fast.steps[0]["train_loss"] != fast.steps[-1]["train_loss"]
    assert [set(point) for point in fast.steps] == [set(point) for point in plain.steps]
    for one, other in zip(fast.steps, plain.steps, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert fast.epochs == plain.epochs


@every_setting
def test_the_same_seed_gives_the_same_bytes_and_another_does_not(
    tmp_path: Path, tiny_gpt2: GPT2, trainable: str
) -> None:
    before = {name: p.detach().clone() for name, p in tiny_gpt2.named_parameters()}

    def saved(seed: int) -> tuple[bytes, Curves]:
        tiny_gpt2.load_state_dict(before)
        classifier, curves = train(tiny_gpt2, settings(trainable=trainable, seed=seed))
        save_tensors(tmp_path / "trained", trained_tensors(classifier))
        return (tmp_path / "trained").read_bytes(), curves

    first, again, other = saved(1), saved(1), saved(2)
    assert first == again
    assert first[0] != other[0]
    assert first[1] != other[1]


def test_the_order_of_messages_depends_on_the_seed_of_the_settings_alone(tiny_gpt2: GPT2) -> None:
    """The head is the same each time; only torch's global generator and the settings differ."""
    before = {name: p.detach().clone() for name, p in tiny_gpt2.named_parameters()}

    def losses(seed: int, torch_seed: int) -> list[dict[str, float]]:
        tiny_gpt2.load_state_dict(before)
        torch.manual_seed(0)
        classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
        set_trainable(classifier, "last_block", 1)
        splits = toy_features(classifier, 2, 10)
        torch.manual_seed(torch_seed)
        return finetune(classifier, *splits, settings(seed=seed, log_every=1)).steps

    assert losses(seed=1, torch_seed=1) == losses(seed=1, torch_seed=2)
    assert losses(seed=1, torch_seed=1) != losses(seed=2, torch_seed=1)


def test_what_can_be_learned_is_learned(tiny_gpt2: GPT2) -> None:
    setting = settings(learning_rate=3e-3, epochs=15, batch_size=8, log_every=5)
    classifier, curves = train(tiny_gpt2, setting, count=40)
    assert curves.steps[0]["train_loss"] > 0.4
    assert curves.steps[-1]["train_loss"] < 0.1
    assert curves.epochs[-1]["train_accuracy"] == 1.0
    train_features, _ = toy_features(classifier, 2, 40)
    assert accuracy(classifier, train_features) == 1.0


@pytest.mark.parametrize(
    ("count", "batch_size", "epochs", "log_every", "points"),
    [
        (10, 4, 3, 4, [4, 8, 9]),  # 3 steps an epoch, the last with 2 messages
        (10, 4, 3, 3, [3, 6, 9]),  # the last step is a point already
        (8, 4, 1, 100, [2]),  # fewer steps than log_every
        (3, 8, 2, 1, [1, 2]),  # fewer messages than a batch
        (5, 1, 1, 2, [2, 4, 5]),
    ],
)
def test_curves_have_their_points(
    tiny_gpt2: GPT2, count: int, batch_size: int, epochs: int, log_every: int, points: list[int]
) -> None:
    setting = settings(batch_size=batch_size, epochs=epochs, log_every=log_every)
    _, curves = train(tiny_gpt2, setting, count)
    assert [point["step"] for point in curves.steps] == points
    assert [point["epoch"] for point in curves.epochs] == list(range(1, epochs + 1))
    for point in curves.steps:
        assert point.keys() == {"step", "train_loss", "validation_loss"}
    for point in curves.epochs:
        assert point.keys() == {"epoch", "train_accuracy", "validation_accuracy"}
        hits = point["train_accuracy"] * count
        assert hits == pytest.approx(round(hits), abs=1e-4)


def test_a_training_loss_is_the_mean_since_the_point_before(tiny_gpt2: GPT2) -> None:
    before = {name: p.detach().clone() for name, p in tiny_gpt2.named_parameters()}
    _, every = train(tiny_gpt2, settings(log_every=1, epochs=3))
    tiny_gpt2.load_state_dict(before)
    _, some = train(tiny_gpt2, settings(log_every=4, epochs=3))
    losses = [point["train_loss"] for point in every.steps]
    expected = [np.mean(losses[0:4]), np.mean(losses[4:8]), np.mean(losses[8:9])]
    assert [point["train_loss"] for point in some.steps] == pytest.approx(expected, abs=2e-6)
    validation = [every.steps[step - 1]["validation_loss"] for step in (4, 8, 9)]
    assert [point["validation_loss"] for point in some.steps] == validation


@pytest.mark.parametrize("batch_size", [4, 10])  # 10: no step follows whose loss would show it
@pytest.mark.parametrize("recipe", ["own", "book"])
def test_a_training_that_diverges_is_one_line(
    tiny_gpt2: GPT2, recipe: str, batch_size: int
) -> None:
    setting = settings(recipe=recipe, learning_rate=1e30, batch_size=batch_size, epochs=1)
    with pytest.raises(InputError, match=r"finetune\.learning_rate: training diverges") as caught:
        train(tiny_gpt2, setting)
    assert "\n" not in str(caught.value)


def test_the_last_points_are_those_of_the_trained_classifier(tiny_gpt2: GPT2) -> None:
    classifier, curves = train(tiny_gpt2, settings(epochs=1))
    losses, hits = [], {"train": 0, "validation": 0}
    for split, (messages, labels) in {
        "train": toy_messages(10, seed=1),
        "validation": toy_messages(6, seed=2),
    }.items():
        for i, label in enumerate(labels):
            message = messages.tokens[messages.offsets[i] : messages.offsets[i + 1]]
            with torch.inference_mode():
                logits = classifier(message[None], torch.tensor([len(message)]))[0]
            hits[split] += int(logits.argmax() == label)
            if split == "validation":
                losses.append(F.cross_entropy(logits, label).item())
    assert curves.steps[-1]["validation_loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert curves.epochs[-1] == {
        "epoch": 1,
        "train_accuracy": pytest.approx(hits["train"] / 10, abs=1e-6),
        "validation_accuracy": pytest.approx(hits["validation"] / 6, abs=1e-6),
    }


def test_every_message_is_used_in_an_epoch_with_a_last_smaller_batch(tiny_gpt2: GPT2) -> None:
    """Ten messages of one token each: an embedding moves when its message is used."""
    torch.manual_seed(0)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
    set_trainable(classifier, "all", N_LAYER)
    used = torch.arange(10) * 7
    messages = Messages(used, torch.arange(11), torch.arange(10))
    features = extract_features(classifier, messages, torch.arange(10) % 2, 0, 50)
    before = tiny_gpt2.wte.weight.detach().clone()
    setting = settings(trainable="all", epochs=1, weight_decay=0.0, log_every=1)
    curves = finetune(classifier, features, features, setting)
    assert len(curves.steps) == 3  # 4 + 4 + 2 messages
    moved = (tiny_gpt2.wte.weight != before).any(1).nonzero().flatten()
    assert torch.equal(moved, used)


def adamw(
    x: np.ndarray, labels: np.ndarray, weight: np.ndarray, bias: np.ndarray, steps: int
) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Algorithm 2 of Loshchilov & Hutter 2019 on a softmax regression, in float64.

    Learning rate 0.01, weight decay 0.1, and the paper's betas 0.9 and 0.999.
    """
    w = np.concatenate([weight, bias[:, None]], axis=1).astype(np.float64)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1).astype(np.float64)
    m, v, losses = np.zeros_like(w), np.zeros_like(w), []
    for t in range(1, steps + 1):
        odds = np.exp(x @ w.T)
        p = odds / odds.sum(1, keepdims=True)
        losses.append(float(-np.log(p[np.arange(len(x)), labels]).mean()))
        gradient = (p - np.eye(2)[labels]).T @ x / len(x)
        m = 0.9 * m + 0.1 * gradient
        v = 0.999 * v + 0.001 * gradient**2
        step = (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
        w = w - 0.01 * step - 0.01 * 0.1 * w
    return w[:, :-1], w[:, -1], losses


def test_the_head_moves_as_the_paper_of_adamw_says(tiny_gpt2: GPT2) -> None:
    torch.manual_seed(0)
    classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
    set_trainable(classifier, "head_only", 0)
    train_features, validation = toy_features(classifier, N_LAYER, 10)
    start = copies(classifier)
    setting = settings(
        trainable="head_only", learning_rate=0.01, batch_size=10, epochs=20, log_every=1
    )
    curves = finetune(classifier, train_features, validation, setting)
    weight, bias, losses = adamw(
        train_features.hidden[train_features.messages.rows].numpy(),
        train_features.labels.numpy(),
        start["head.weight"].numpy(),
        start["head.bias"].numpy(),
        steps=20,
    )
    assert [point["train_loss"] for point in curves.steps] == pytest.approx(losses, abs=1e-5)
    np.testing.assert_allclose(classifier.head.weight.detach(), weight, atol=1e-4)
    np.testing.assert_allclose(classifier.head.bias.detach(), bias, atol=1e-4)


@every_setting
def test_training_on_mapped_weights_leaves_their_file_alone(
    tmp_path: Path, tiny_gpt2: GPT2, trainable: str
) -> None:
    weights = dict(tiny_gpt2.named_parameters())
    save_weights(tmp_path, tiny_gpt2.config, weights, "tiny", MINI_DIR)
    gpt2, origin = load_gpt2(tmp_path)
    train(gpt2, settings(trainable=trainable))
    assert hashlib.sha256((tmp_path / WEIGHTS_FILE).read_bytes()).hexdigest() == origin.sha256


def test_nothing_waits_for_the_device_but_the_points_of_the_curves(
    tiny_gpt2: GPT2, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU every `item` waits until all that was asked for is done."""
    fetched = []
    item = Tensor.item
    monkeypatch.setattr(Tensor, "item", lambda tensor: fetched.append(1) or item(tensor))
    counts = []
    for log_every in (1, 1000):
        fetched.clear()
        train(tiny_gpt2, settings(batch_size=1, epochs=1, log_every=log_every), count=40)
        counts.append(len(fetched))
    assert counts[0] > 80  # two a point, and a point a step
    assert counts[1] < 25  # at the end, and none of them in one of the 40 steps


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@every_setting
def test_a_gpu_trains_as_the_processor_does(tiny_gpt2: GPT2, trainable: str) -> None:
    before = {name: p.detach().clone() for name, p in tiny_gpt2.named_parameters()}
    setting = settings(trainable=trainable, epochs=3)
    curves = []
    for device in ("cpu", "cuda"):
        tiny_gpt2.cpu().load_state_dict(before)
        torch.manual_seed(setting.seed)
        classifier = GPT2Classifier(tiny_gpt2, 2, "last_token")
        blocks = trainable_blocks(trainable, N_LAYER)
        set_trainable(classifier, trainable, blocks)
        features = toy_features(classifier, N_LAYER - blocks, 20)
        curves.append(finetune(classifier.to(device), *features, setting))
    for one, other in zip(curves[0].steps, curves[1].steps, strict=True):
        assert one == pytest.approx(other, abs=1e-4)


@pytest.mark.parametrize("trainable", ["last_block", "head_only"])
def test_without_validation_the_weights_are_the_same(tiny_gpt2: GPT2, trainable: str) -> None:
    setting = settings(trainable=trainable)
    watched, curves = train(copy.deepcopy(tiny_gpt2), setting)
    torch.manual_seed(setting.seed)
    alone = GPT2Classifier(tiny_gpt2, 2, "last_token", True)
    blocks = trainable_blocks(trainable, N_LAYER)
    set_trainable(alone, trainable, blocks)
    features, _ = toy_features(alone, N_LAYER - blocks, 10)
    unwatched = finetune(alone, features, None, setting)
    for name, tensor in trained_tensors(watched).items():
        assert torch.equal(tensor, trained_tensors(alone)[name]), name
    losses = [{k: v for k, v in p.items() if k != "validation_loss"} for p in curves.steps]
    assert unwatched.steps == losses
    assert unwatched.epochs == [{"epoch": 1}, {"epoch": 2}]
