"""The fast path decides as the plain one does, and both as transformers' hidden states say."""

from __future__ import annotations

import pytest
import torch
from reference import reference_model
from torch import Tensor

from spam_gpt2.common.files import InputError
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.ragged import runs_of

POSITIONS = ["last_token", "last_padded", "first_token", "mean_tokens"]
N_LAYER = 3  # of the tiny model
CUTS = range(N_LAYER + 1)
LENGTHS = [4, 9, 1, 9, 9, 2, 4, 17]

every_position = pytest.mark.parametrize("position", POSITIONS)
with_and_without_mask = pytest.mark.parametrize("causal", [True, False])


def build(gpt2: GPT2, position: str, causal: bool, n_classes: int = 2) -> GPT2Classifier:
    torch.manual_seed(3)
    return GPT2Classifier(gpt2, n_classes, position, causal)


def random_messages(lengths: list[int]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(4096, (length,), generator=generator) for length in lengths]


def side_by_side(messages: list[Tensor], padding: int, width: int = 0) -> tuple[Tensor, Tensor]:
    """Messages padded on the right with one token, and their lengths."""
    lengths = torch.tensor([len(message) for message in messages])
    tokens = torch.full((len(messages), max(width, int(lengths.max()))), padding)
    for row, message in zip(tokens, messages, strict=True):
        row[: len(message)] = message
    return tokens, lengths


def fast(classifier: GPT2Classifier, messages: list[Tensor], cut: int) -> Tensor:
    """Logits by way of the cut: what is frozen below it, what is trained above."""
    runs = runs_of(len(message) for message in messages)
    return classifier.above(classifier.below(torch.cat(messages), runs, cut), runs, cut)


def reference_logits(classifier: GPT2Classifier, messages: list[Tensor]) -> Tensor:
    """Each message alone through transformers' GPT-2; then the head, as its definition has it."""
    reference = reference_model(classifier.gpt2)
    logits = []
    for message in messages:
        T = len(message)
        sees_all = None if classifier.causal else torch.zeros(1, 1, T, T)
        hidden = reference(message[None], attention_mask=sees_all).last_hidden_state[0]
        if classifier.position == "first_token":
            decides = hidden[0]
        elif classifier.position == "mean_tokens":
            decides = hidden.mean(0)
        else:
            decides = hidden[T - 1]
        logits.append(classifier.head.weight @ decides + classifier.head.bias)
    return torch.stack(logits)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


@every_position
@with_and_without_mask
@torch.inference_mode()
def test_the_plain_way_is_what_transformers_computes(
    tiny_gpt2: GPT2, position: str, causal: bool
) -> None:
    classifier = build(tiny_gpt2, position, causal, n_classes=3)
    messages = random_messages(LENGTHS)
    expected = reference_logits(classifier, messages)
    assert expected.std(0).min() > 0.1  # else the tolerance would show little
    assert_close(classifier(*side_by_side(messages, padding=0)), expected)


@every_position
@with_and_without_mask
@pytest.mark.parametrize("cut", CUTS)
@torch.inference_mode()
def test_the_fast_path_is_the_plain_one_at_every_cut(
    tiny_gpt2: GPT2, position: str, causal: bool, cut: int
) -> None:
    classifier = build(tiny_gpt2, position, causal)
    messages = random_messages(LENGTHS)
    plain = classifier(*side_by_side(messages, padding=0))
    assert_close(fast(classifier, messages, cut), plain)


@with_and_without_mask
@pytest.mark.parametrize("cut", CUTS)
@torch.inference_mode()
def test_messages_padded_to_one_length_decide_at_the_last_padding(
    tiny_gpt2: GPT2, causal: bool, cut: int
) -> None:
    """With last_padded the filler is part of the message, as in the tutorials."""
    classifier = build(tiny_gpt2, "last_padded", causal)
    tokens, _ = side_by_side(random_messages(LENGTHS), padding=4095, width=20)
    filled = list(tokens)
    expected = reference_logits(classifier, filled)
    assert_close(classifier(tokens, torch.full((len(filled),), 20)), expected)
    assert_close(fast(classifier, filled, cut), expected)


@every_position
@with_and_without_mask
@torch.inference_mode()
def test_what_stands_in_the_padding_does_not_matter(
    tiny_gpt2: GPT2, position: str, causal: bool
) -> None:
    classifier = build(tiny_gpt2, position, causal)
    messages = random_messages(LENGTHS)
    one = classifier(*side_by_side(messages, padding=0))
    other = classifier(*side_by_side(messages, padding=4095))
    wider = classifier(*side_by_side(messages, padding=17, width=40))
    assert_close(other, one)
    assert_close(wider, one)


@every_position
@with_and_without_mask
@torch.inference_mode()
def test_a_batch_of_one_is_a_batch_of_many(tiny_gpt2: GPT2, position: str, causal: bool) -> None:
    classifier = build(tiny_gpt2, position, causal)
    messages = random_messages(LENGTHS)
    plain = torch.cat([classifier(*side_by_side([m], padding=0)) for m in messages])
    assert_close(classifier(*side_by_side(messages, padding=0)), plain)
    for cut in CUTS:
        alone = torch.cat([fast(classifier, [message], cut) for message in messages])
        assert_close(fast(classifier, messages, cut), alone)
        assert_close(alone, plain)


@pytest.mark.parametrize("cut", CUTS)
@torch.inference_mode()
def test_what_a_position_may_see_decides_and_nothing_else_does(tiny_gpt2: GPT2, cut: int) -> None:
    """The second token of three: seen by the last token, and by the first without a mask."""
    message, changed = torch.tensor([1, 2, 3]), torch.tensor([1, 9, 3])
    for position, causal, matters in [
        ("last_token", True, True),
        ("last_token", False, True),
        ("mean_tokens", True, True),
        ("first_token", False, True),
        ("first_token", True, False),
    ]:
        classifier = build(tiny_gpt2, position, causal)
        before, after = (fast(classifier, [m], cut) for m in (message, changed))
        moved = bool((before - after).abs().max() > 1e-4)
        assert moved == matters, (position, causal)


@every_position
@with_and_without_mask
def test_the_fast_path_has_the_gradients_of_the_plain_one(
    tiny_gpt2: GPT2, position: str, causal: bool
) -> None:
    messages = random_messages(LENGTHS)
    labels = torch.arange(len(messages)) % 2

    def gradients(logits: Tensor) -> dict[str, Tensor]:
        classifier.zero_grad()
        torch.nn.functional.cross_entropy(logits, labels).backward()
        return {name: p.grad.clone() for name, p in classifier.named_parameters()}

    classifier = build(tiny_gpt2, position, causal)
    plain = gradients(classifier(*side_by_side(messages, padding=0)))
    quick = gradients(fast(classifier, messages, 0))
    for name, gradient in plain.items():
        assert gradient.abs().max() > 1e-6, name
        torch.testing.assert_close(quick[name], gradient, atol=1e-5, rtol=1e-3, msg=name)


@pytest.mark.parametrize("cut", CUTS)
def test_features_have_the_documented_shapes(tiny_gpt2: GPT2, cut: int) -> None:
    classifier = build(tiny_gpt2, "last_token", True, n_classes=3)
    messages = random_messages(LENGTHS)
    runs = runs_of(LENGTHS)
    below = classifier.below(torch.cat(messages), runs, cut)
    rows = len(messages) if cut == N_LAYER else sum(LENGTHS)
    assert below.shape == (rows, 32)
    assert classifier.above(below, runs, cut).shape == (len(messages), 3)


def test_a_message_longer_than_the_context_is_refused(tiny_gpt2: GPT2) -> None:
    classifier = build(tiny_gpt2, "last_token", True)
    messages = random_messages([3, 65])
    with pytest.raises(InputError, match="65 tokens do not fit the context of 64"):
        fast(classifier, messages, 1)
    with pytest.raises(InputError, match="65 tokens do not fit the context of 64"):
        classifier(*side_by_side(messages, padding=0))


def test_the_heads_first_weights_are_torchs_own(tiny_gpt2: GPT2) -> None:
    classifier = build(tiny_gpt2, "last_token", True, n_classes=5)
    torch.manual_seed(3)
    linear = torch.nn.Linear(32, 5)
    assert torch.equal(classifier.head.weight, linear.weight)
    assert torch.equal(classifier.head.bias, linear.bias)


@pytest.mark.parametrize(
    ("trainable", "blocks", "prefixes"),
    [
        ("head_only", 0, ("head.",)),
        ("last_block", 1, ("head.", "gpt2.ln_f.", "gpt2.h.2.")),
        ("last_2_blocks", 2, ("head.", "gpt2.ln_f.", "gpt2.h.2.", "gpt2.h.1.")),
        ("last_3_blocks", 3, ("head.", "gpt2.ln_f.", "gpt2.h.")),
        ("all", 3, ("head.", "gpt2.")),
    ],
)
def test_what_is_trained_is_what_was_asked_for(
    tiny_gpt2: GPT2, trainable: str, blocks: int, prefixes: tuple[str, ...]
) -> None:
    classifier = build(tiny_gpt2, "last_token", True)
    expected = {name for name, _ in classifier.named_parameters() if name.startswith(prefixes)}
    for _ in range(2):  # the second time nothing changes
        set_trainable(classifier, trainable, blocks)
        assert trained_tensors(classifier).keys() == expected
    set_trainable(classifier, "all", N_LAYER)
    set_trainable(classifier, trainable, blocks)
    assert trained_tensors(classifier).keys() == expected
