"""The baseline is the textbook's: weights counted by hand, and what its parameters do."""

from __future__ import annotations

import numpy as np
import pytest

from spam_gpt2.common.params import Baseline
from spam_gpt2.evaluation.baseline import fit_baseline

TEXTS = ["win cash win", "see you", "cash now", "you see cash"]
LABELS = np.array([1, 0, 1, 0])


def settings(**changes: object) -> Baseline:
    return Baseline(**{"ngrams": 1, "inverse_regularization": 10.0} | changes)


def test_weights_are_sublinear_tf_times_smooth_idf() -> None:
    """(1 + ln tf) times (ln((1 + n) / (1 + df)) + 1), scaled to a length of 1."""
    vectorizer = fit_baseline(TEXTS, LABELS, settings())[0]
    row = vectorizer.transform(["win cash win"]).toarray()[0]
    win, cash = (1 + np.log(2)) * (np.log(5 / 2) + 1), np.log(5 / 4) + 1
    found = [row[vectorizer.vocabulary_[word]] for word in ("win", "cash")]
    assert found == pytest.approx(np.array([win, cash]) / np.hypot(win, cash))


def test_words_that_tell_the_class_decide() -> None:
    model = fit_baseline(TEXTS, LABELS, settings())
    assert model.predict(["win win", "you see"]).tolist() == [1, 0]
    np.testing.assert_allclose(model.predict_proba(TEXTS).sum(1), 1)


def test_ngrams_and_regularization_are_those_of_the_settings() -> None:
    pairs = fit_baseline(TEXTS, LABELS, settings(ngrams=2))[0].vocabulary_
    assert "cash now" in pairs
    assert "you see cash" not in pairs
    assert "cash now" not in fit_baseline(TEXTS, LABELS, settings())[0].vocabulary_
    smooth, sharp = (
        fit_baseline(TEXTS, LABELS, settings(inverse_regularization=c)).predict_proba(["win"])[0, 1]
        for c in (0.01, 100.0)
    )
    assert 0.5 < smooth < 0.6 < sharp


def test_a_baseline_that_folds_reads_every_text_in_one_form() -> None:
    disguised = [text.replace("a", "\u0430").replace("s", "s\u200b") for text in TEXTS]
    expected = fit_baseline(TEXTS, LABELS, settings())
    model = fit_baseline(disguised, LABELS, settings(), ["characters"])
    assert model[0].vocabulary_ == expected[0].vocabulary_
    assert np.array_equal(model.predict_proba(disguised), expected.predict_proba(TEXTS))
    assert not np.array_equal(expected.predict_proba(disguised), expected.predict_proba(TEXTS))
