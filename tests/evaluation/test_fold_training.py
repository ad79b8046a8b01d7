"""A fold trains on its messages alone and is tested on the others, for both models."""

from __future__ import annotations

import copy

import numpy as np
import pandas as pd
import pytest
import tiktoken
import torch
from conftest import ROOT
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import Baseline, Finetune, load_params
from spam_gpt2.evaluation.fold_training import baseline_counts, gpt2_counts, in_order_of_lines
from spam_gpt2.features.features import Features, all_logits, extract_features
from spam_gpt2.gpt2.batching import encode_messages
from spam_gpt2.gpt2.head import GPT2Classifier, set_trainable, trained_tensors
from spam_gpt2.gpt2.model import GPT2
from spam_gpt2.training.loop import finetune

LABELS = ["ham", "spam"]
HAM = ["see you at home", "ok", "dinner later?", "love you", "meeting at school", "ok"]
SPAM = ["win cash now", "claim your prize", "urgent call 0800", "free reward txt", "win a prize"]
MESSAGES = pd.DataFrame(
    {
        "line": [*range(1, 12, 2), *range(2, 11, 2)],
        "label": ["ham"] * len(HAM) + ["spam"] * len(SPAM),
        "text": HAM + SPAM,
    }
)
TRAIN, TEST = np.array([0, 1, 3, 5, 6, 9, 10]), np.array([2, 4, 7, 8])


def settings() -> Finetune:
    shipped = load_params(ROOT / "params.yaml").finetune
    return shipped.model_copy(update={"learning_rate": 3e-3, "epochs": 6, "batch_size": 4})


def fresh(gpt2: GPT2) -> GPT2Classifier:
    torch.manual_seed(3)
    classifier = GPT2Classifier(copy.deepcopy(gpt2), 2, "last_token")
    set_trainable(classifier, "last_block", 1)
    return classifier


def features_of(
    classifier: GPT2Classifier, tokenizer: tiktoken.Encoding, messages: pd.DataFrame
) -> Features:
    labels = torch.tensor([LABELS.index(label) for label in messages["label"]], dtype=torch.int64)
    encoded = encode_messages(tokenizer, messages["text"].tolist(), 24)
    return extract_features(classifier, encoded, labels, 2, 100)


@pytest.mark.parametrize("cuts", [(3, 6, 9), (0, 5, 11), (8, 8, 10)])
def test_however_they_are_split_messages_come_in_the_order_of_lines(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding, cuts: tuple[int, int, int]
) -> None:
    classifier, ends = fresh(tiny_gpt2), [*cuts, len(MESSAGES)]
    frames = [MESSAGES[a:b] for a, b in zip([0, *cuts], ends, strict=True)]
    parts = [features_of(classifier, tokenizer, frame) for frame in frames]
    messages, features = in_order_of_lines(frames, parts, LABELS)
    expected = MESSAGES.sort_values("line", ignore_index=True)
    pd.testing.assert_frame_equal(messages, expected)
    alone = features_of(classifier, tokenizer, expected)
    assert torch.equal(features.labels, alone.labels)
    torch.testing.assert_close(all_logits(classifier, features), all_logits(classifier, alone))


def test_features_of_other_messages_are_refused(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    features = features_of(fresh(tiny_gpt2), tokenizer, MESSAGES[1:])
    with pytest.raises(InputError, match="not of the messages in data/prepared; run `dvc repro`"):
        in_order_of_lines([MESSAGES], [features], LABELS)


def test_gpt2_trains_on_the_fold_and_is_tested_on_the_rest(
    tiny_gpt2: GPT2, tokenizer: tiktoken.Encoding
) -> None:
    """Against features that were extracted from these texts and no others."""
    first, second = fresh(tiny_gpt2), fresh(tiny_gpt2)
    found = gpt2_counts(first, features_of(first, tokenizer, MESSAGES), TRAIN, TEST, settings())
    train, test = (features_of(second, tokenizer, MESSAGES.iloc[rows]) for rows in (TRAIN, TEST))
    finetune(second, train, test, settings())
    for name, tensor in trained_tensors(first).items():
        torch.testing.assert_close(tensor, trained_tensors(second)[name], msg=name)
    predicted = all_logits(second, test).argmax(1)
    assert found.tolist() == confusion_matrix(test.labels, predicted, labels=[0, 1]).tolist()
    assert found.sum() == len(TEST)


def test_the_baseline_is_scikit_learns() -> None:
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = LogisticRegression(C=10, max_iter=1000)
    train, test = MESSAGES.iloc[TRAIN], MESSAGES.iloc[TEST]
    model.fit(vectorizer.fit_transform(train["text"]), train["label"])
    predicted = model.predict(vectorizer.transform(test["text"]))
    settings_of = Baseline(ngrams=2, inverse_regularization=10.0)
    found = baseline_counts(MESSAGES, TRAIN, TEST, LABELS, settings_of)
    assert found.tolist() == confusion_matrix(test["label"], predicted, labels=LABELS).tolist()
