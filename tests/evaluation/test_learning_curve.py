"""Parts of the training set are stratified and nested, and all of it trains as usual."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import tiktoken
import torch
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Baseline, Finetune, load_params
from spam_gpt2.evaluation.learning_curve import (
    baseline_accuracy,
    gpt2_accuracy,
    stratified_order,
    usable_sizes,
)
from spam_gpt2.features.features import Features, extract_features
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.training.loop import finetune

HAM = ["see you at home", "ok", "dinner later?", "love you", "meeting at school", "bus is late"]
SPAM = ["win cash now", "claim your prize", "urgent call 0800", "free reward txt", "win a prize"]


def random(seed: int = 1) -> np.random.Generator:
    return np.random.default_rng(seed)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=4), st.integers(0, 99))
def test_every_first_part_has_the_classes_at_their_shares(sizes: list[int], seed: int) -> None:
    """Away from its share by half a message for each class at most."""
    labels = random(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = stratified_order(labels, random(seed))
    assert sorted(order) == list(range(len(labels)))
    for k, size in enumerate(sizes):
        counts = np.cumsum(labels[order] == k)
        share = np.arange(1, len(labels) + 1) * size / len(labels)
        assert np.abs(counts - share).max() <= len(sizes) / 2


def test_who_comes_first_is_drawn() -> None:
    labels = np.arange(60) % 2
    assert (stratified_order(labels, random(1)) == stratified_order(labels, random(1))).all()
    assert (stratified_order(labels, random(1)) != stratified_order(labels, random(2))).any()
    firsts = {int(stratified_order(labels, random(seed))[0]) for seed in range(30)}
    assert len(firsts) > 10


def test_sizes_end_with_the_whole_training_set() -> None:
    labels = np.arange(100) % 2
    assert usable_sizes([512, 64, 8, 64, 100], labels) == [8, 64, 100]
    assert usable_sizes([512], labels) == [100]


def test_a_size_without_one_of_every_class_is_refused_in_a_line() -> None:
    rare = np.array([0] * 97 + [1] * 3)
    assert usable_sizes([17], rare) == [17, 100]
    with pytest.raises(InputError) as caught:
        usable_sizes([50, 16], rare)
    assert str(caught.value) == (
        "params.yaml: learning_curve.sizes: 16 training messages are too few to have some of "
        "every class"
    )


def features_of(
    classifier: GPT2Classifier, tokenizer: tiktoken.Encoding, texts: list[str]
) -> Features:
    labels = torch.tensor([int(text in SPAM) for text in texts])
    return extract_features(classifier, encode_messages(tokenizer, texts, 24), labels, 2, 100)


def settings() -> Finetune:
    shipped = load_params(ROOT / "params.yaml").finetune
    return shipped.model_copy(update={"learning_rate": 3e-3, "epochs": 6, "batch_size": 4})


def fresh(gpt2: GPT2) -> GPT2Classifier:
    torch.manual_seed(3)
    classifier = GPT2Classifier(copy.deepcopy(gpt2), 2, "last_token")
    set_trainable(classifier, "last_block", 1)
    return classifier


def test_training_on_a_part_is_training_on_these_messages_alone(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    """Against features that were extracted from these texts and no others."""
    texts = [text for pair in zip(HAM, SPAM, strict=False) for text in pair]
    indices = np.array([1, 2, 5, 6, 8])
    first, second = fresh(tiny_gpt2), fresh(tiny_gpt2)
    whole, test = (features_of(first, tokenizer, t) for t in (texts, HAM + SPAM))
    splits = {"train": whole, "validation": test, "test": test}
    accuracy = gpt2_accuracy(first, splits, indices, settings())
    curves = finetune(
        second, features_of(second, tokenizer, [texts[i] for i in indices]), test, settings()
    )
    for name, tensor in trained_tensors(first).items():
        torch.testing.assert_close(tensor, trained_tensors(second)[name], msg=name)
    assert accuracy == pytest.approx(curves.epochs[-1]["validation_accuracy"], abs=1e-6)
    assert accuracy > 0.6


def test_the_baseline_is_scikit_learns() -> None:
    frame = pd.DataFrame({"text": HAM + SPAM, "label": ["ham"] * len(HAM) + ["spam"] * len(SPAM)})
    train, test = frame[::2], frame[1::2]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    model.fit(vectorizer.fit_transform(train["text"]), train["label"])
    expected = model.score(vectorizer.transform(test["text"]), test["label"])
    found = baseline_accuracy(
        train, test, ["ham", "spam"], Baseline(ngrams=2, inverse_regularization=10.0)
    )
    assert found == pytest.approx(expected)
    assert 0 < found < 1
