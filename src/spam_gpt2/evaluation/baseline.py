"""TF-IDF and logistic regression: what GPT-2 has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from spam_gpt2.common.folding import Fold, fold_text
from spam_gpt2.common.params import Baseline


def fit_baseline(
    texts: Sequence[str], labels: np.ndarray, settings: Baseline, folds: Sequence[Fold] = ()
) -> Pipeline:
    """A classifier of texts, trained; its `predict` gives classes, (N,), as in `labels`.

    Args:
        folds: what is undone in every text that it reads; see `fold_text`.
    """
    model = make_pipeline(
        TfidfVectorizer(
            preprocessor=lambda text: fold_text(text, folds).lower(),
            ngram_range=(1, settings.ngrams),
            sublinear_tf=True,
        ),
        LogisticRegression(C=settings.inverse_regularization, max_iter=1000),
    )
    return model.fit(texts, labels)
