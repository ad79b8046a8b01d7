"""Features and the blocks above them are the whole model, in memory and from the file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiktoken
import torch
from torch import Tensor

from spam_gpt2.common.files import InputError
from spam_gpt2.features.features import (
    Features,
    all_logits,
    class_probabilities,
    extract_features,
    joined,
    load_features,
    save_features,
)
from spam_gpt2.gpt2.batching import encode_messages, pack_messages
from spam_gpt2.gpt2.head import GPT2Classifier
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.gpt2.weights import load_tensors, save_tensors

POSITIONS = ["last_token", "last_padded", "first_token", "mean_tokens"]
N_LAYER = 3  # of the tiny model
TEXTS = [
    "Win £1000 cash now! Text WIN to 80086",
    "See you at home",
    "",
    "ok",
    "See you at home",
    "a",
    "Sorry I am late, the bus never came and the next one is full; start without me please",
    "ok",
    "Did you get the milk?",
    "ok",
]

every_cut = pytest.mark.parametrize("cut", range(N_LAYER + 1))
every_position = pytest.mark.parametrize("position", POSITIONS)


def build(gpt2: GPT2, position: str = "last_token", causal: bool = True) -> GPT2Classifier:
    torch.manual_seed(3)
    return GPT2Classifier(gpt2, 3, position, causal)


def extract(
    classifier: GPT2Classifier,
    tokenizer: tiktoken.Encoding,
    cut: int,
    texts: list[str] = TEXTS,
    batch_tokens: int = 30,
) -> Features:
    padded = classifier.position == "last_padded"
    messages = encode_messages(tokenizer, texts, 24, pad=padded)
    return extract_features(classifier, messages, labels_of(texts), cut, batch_tokens)


def labels_of(texts: list[str]) -> Tensor:
    return torch.tensor([len(text) % 3 for text in texts])


@torch.inference_mode()
def one_by_one(classifier: GPT2Classifier, tokenizer: tiktoken.Encoding) -> Tensor:
    """Each text alone through the whole model, with no batch, cache or shortcut."""
    logits = []
    for text in TEXTS:
        tokens = tokenizer.encode_ordinary(text)[:24] or [tokenizer.eot_token]
        if classifier.position == "last_padded":
            tokens += [tokenizer.eot_token] * (24 - len(tokens))
        logits.append(classifier(torch.tensor([tokens]), torch.tensor([len(tokens)]))[0])
    return torch.stack(logits)


def assert_close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=2e-5, rtol=0)


@every_cut
@every_position
@pytest.mark.parametrize("causal", [True, False])
def test_features_and_tail_are_the_whole_model(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int, position: str, causal: bool
) -> None:
    classifier = build(tiny_gpt2, position, causal)
    features = extract(classifier, tokenizer, cut)
    expected = one_by_one(classifier, tokenizer)
    assert len(features) == len(TEXTS)
    assert_close(all_logits(classifier, features), expected)
    indices = torch.tensor([4, 0, 9, 2, 6, 6, 1])  # out of order, and one twice
    with torch.inference_mode():
        assert_close(features.logits(classifier, indices), expected[indices])
        assert_close(features.plain_logits(classifier, indices), expected[indices])
        for row in range(len(TEXTS)):
            alone = torch.tensor([row])
            assert_close(features.logits(classifier, alone), expected[alone])
            assert_close(features.plain_logits(classifier, alone), expected[alone])


@every_cut
def test_the_size_of_a_batch_does_not_matter(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    classifier = build(tiny_gpt2)
    small, large = (extract(classifier, tokenizer, cut, batch_tokens=b) for b in (1, 10**6))
    if cut == 0:
        assert small.hidden is large.hidden is None
    else:
        assert_close(small.hidden, large.hidden)
    assert_close(all_logits(classifier, small), all_logits(classifier, large))


@every_cut
def test_identical_messages_are_kept_and_run_once(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    classifier = build(tiny_gpt2)
    repeated, distinct = TEXTS * 3, list(dict.fromkeys(TEXTS))
    features = extract(classifier, tokenizer, cut, repeated)
    once = extract(classifier, tokenizer, cut, distinct)
    assert len(features) == len(repeated)
    assert len(features.messages.tokens) == len(once.messages.tokens)
    if cut:
        assert features.hidden.shape == once.hidden.shape
    logits = all_logits(classifier, features)
    by_text = dict(zip(distinct, all_logits(classifier, once), strict=True))
    assert_close(logits, torch.stack([by_text[text] for text in repeated]))
    for first, second in [(1, 4), (3, 7), (3, 9), (0, 10)]:
        assert torch.equal(logits[first], logits[second])


@every_cut
def test_a_frozen_row_is_kept_for_each_token_or_each_message(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    features = extract(build(tiny_gpt2), tokenizer, cut)
    if cut == 0:
        assert features.hidden is None
        return
    rows = len(features.messages.lengths if cut == N_LAYER else features.messages.tokens)
    assert features.hidden.shape == (rows, 32)
    assert features.hidden.dtype == torch.float32
    assert features.hidden_offsets[-1] == rows


def test_features_need_no_gradient_and_leave_none(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier = build(tiny_gpt2)
    features = extract(classifier, tokenizer, 2)
    features.logits(classifier, torch.arange(4)).sum().backward()
    with_gradient = {n for n, p in classifier.named_parameters() if p.grad is not None}
    assert "gpt2.h.2.attn.c_attn.weight" in with_gradient
    assert not any(n.startswith(("gpt2.h.0", "gpt2.h.1", "gpt2.w")) for n in with_gradient)


@every_cut
def test_a_subset_is_what_is_extracted_from_its_texts_alone(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    classifier = build(tiny_gpt2)
    chosen = [7, 4, 2, 0, 9, 1]  # out of order, repeated texts and the empty one among them
    subset = extract(classifier, tokenizer, cut).subset(torch.tensor(chosen))
    alone = extract(classifier, tokenizer, cut, [TEXTS[i] for i in chosen])
    assert len(subset) == len(chosen)
    assert torch.equal(subset.labels, alone.labels)
    assert len(subset.messages.tokens) == len(alone.messages.tokens)
    assert (subset.hidden is None) == (alone.hidden is None)
    if cut:
        assert subset.hidden.shape == alone.hidden.shape
    assert_close(all_logits(classifier, subset), all_logits(classifier, alone))
    some = torch.tensor([3, 0, 5])
    with torch.inference_mode():
        assert_close(subset.logits(classifier, some), alone.logits(classifier, some))
        assert_close(subset.plain_logits(classifier, some), alone.plain_logits(classifier, some))


@every_cut
def test_all_messages_in_order_are_the_features_themselves(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    features = extract(build(tiny_gpt2), tokenizer, cut)
    subset = features.subset(torch.arange(len(TEXTS)))
    for name in ("tokens", "offsets", "rows"):
        assert torch.equal(getattr(subset.messages, name), getattr(features.messages, name))
    assert torch.equal(subset.hidden_offsets, features.hidden_offsets)
    if cut:
        assert torch.equal(subset.hidden, features.hidden)


@every_cut
@every_position
def test_features_come_back_from_their_file(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int, position: str
) -> None:
    classifier = build(tiny_gpt2, position)
    features = extract(classifier, tokenizer, cut)
    save_features(tmp_path / "features.safetensors", features)
    loaded = load_features(tmp_path / "features.safetensors")
    assert loaded.cut == cut
    assert torch.equal(loaded.labels, labels_of(TEXTS))
    for name in ("tokens", "offsets", "rows"):
        assert torch.equal(getattr(loaded.messages, name), getattr(features.messages, name))
    if cut == 0:
        assert loaded.hidden is None
    else:
        assert torch.equal(loaded.hidden, features.hidden)
    assert torch.equal(loaded.hidden_offsets, features.hidden_offsets)
    assert torch.equal(all_logits(classifier, loaded), all_logits(classifier, features))


def test_features_of_messages_of_one_token_come_back(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    """A row a token and a row a message are then the same number of rows."""
    classifier = build(tiny_gpt2)
    for cut in range(1, N_LAYER + 1):
        features = extract(classifier, tokenizer, cut, ["a", "b", "", "c", "a"])
        save_features(tmp_path / "features", features)
        logits = all_logits(classifier, load_features(tmp_path / "features"))
        assert torch.equal(logits, all_logits(classifier, features))


@pytest.mark.parametrize("cut", [2, N_LAYER])
def test_features_in_bfloat16_come_back(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    classifier = build(tiny_gpt2)
    messages = encode_messages(tokenizer, TEXTS, 24)
    features = extract_features(
        classifier, messages, labels_of(TEXTS), cut, 30, dtype=torch.bfloat16
    )
    save_features(tmp_path / "features", features)
    loaded = load_features(tmp_path / "features")
    assert loaded.hidden.dtype == torch.bfloat16
    assert torch.equal(loaded.hidden, features.hidden)


def test_the_same_features_are_the_same_bytes(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier = build(tiny_gpt2)
    for name in ("first", "second"):
        save_features(tmp_path / name, extract(classifier, tokenizer, 2))
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("name", ["tokens", "offsets", "rows", "labels", "cut"])
def test_a_file_without_one_of_its_tensors_is_refused(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, name: str
) -> None:
    path = tmp_path / "features"
    save_features(path, extract(build(tiny_gpt2), tokenizer, 2))
    tensors = {k: t.clone() for k, t in load_tensors(path).items() if k != name}
    save_tensors(path, tensors)
    with pytest.raises(InputError) as caught:
        load_features(path)
    assert str(caught.value) == f"{path}: no tensor '{name}'; `dvc repro extract_features`"


def test_a_missing_or_truncated_file_is_named(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    path = tmp_path / "features"
    with pytest.raises(InputError) as caught:
        load_features(path)
    assert str(caught.value).startswith(f"{path}: no such file; ")
    save_features(path, extract(build(tiny_gpt2), tokenizer, 2))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError) as caught:
        load_features(path)
    assert str(caught.value).startswith(f"{path}: damaged: ")
    assert "\n" not in str(caught.value)


@every_cut
def test_probabilities_are_the_softmax_of_the_logits(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    classifier = build(tiny_gpt2)
    features = extract(classifier, tokenizer, cut)
    logits = all_logits(classifier, features).numpy().astype(np.float64)
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = class_probabilities(classifier, features)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities, odds / odds.sum(axis=1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-14)


@every_cut
def test_a_split_with_no_messages_has_no_logits(
    tmp_path: Path, tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    """Without balancing nothing is left over, and the hold-out is empty."""
    classifier = build(tiny_gpt2)
    messages = encode_messages(tokenizer, [], 24)
    no_labels = torch.tensor([], dtype=torch.int64)
    features = extract_features(classifier, messages, no_labels, cut, 30)
    save_features(tmp_path / "features", features)
    assert all_logits(classifier, load_features(tmp_path / "features")).shape == (0, 3)


@pytest.mark.parametrize("cut", [2, N_LAYER])
def test_nearly_all_batches_have_the_same_number_of_tokens(
    tiny_gpt2: GPT2, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    """Every other number costs kernels of its own, which are kept; and no result changes."""
    draw = torch.Generator().manual_seed(1)
    tokens = [torch.randint(300, (int(n),), generator=draw).tolist() for n in range(1, 8)] * 9
    classifier, sizes = build(tiny_gpt2), []
    messages = pack_messages([[i, *t] for i, t in enumerate(tokens)], 299, 24)
    labels = torch.zeros(len(tokens), dtype=torch.int64)
    alone = extract_features(classifier, messages, labels, cut, 1)
    below = classifier.below

    def seen(tokens: Tensor, *args: object) -> Tensor:
        sizes.append(len(tokens))
        return below(tokens, *args)

    monkeypatch.setattr(classifier, "below", seen)
    together = extract_features(classifier, messages, labels, cut, 64)
    assert len(sizes) > 4
    assert set(sizes[:-1]) == {64}
    assert_close(together.hidden, alone.hidden)


@every_cut
def test_joined_features_are_those_of_all_texts(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cut: int
) -> None:
    """A split with no messages among them, and texts that stand in two of them."""
    classifier = build(tiny_gpt2)
    parts = [TEXTS[:4], [], TEXTS[4:7], TEXTS[7:]]
    features = [extract(classifier, tokenizer, cut, part) for part in parts]
    whole, expected = joined(features), extract(classifier, tokenizer, cut)
    assert torch.equal(whole.labels, expected.labels)
    assert_close(all_logits(classifier, whole), all_logits(classifier, expected))
    chosen = torch.tensor([8, 4, 1, 9])
    subset = whole.subset(chosen)
    assert_close(all_logits(classifier, subset), all_logits(classifier, expected)[chosen])


def test_features_of_several_plans_are_not_joined(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    classifier = build(tiny_gpt2)
    parts = [extract(classifier, tokenizer, cut) for cut in (1, 2)]
    with pytest.raises(InputError, match="the splits are of several models"):
        joined(parts)
