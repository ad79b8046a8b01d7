"""Labels as numbers, and probabilities as they go to a file."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.evaluation.predictions import label_ids, predictions_table


def test_label_ids_are_places_in_the_list_of_labels() -> None:
    messages = pd.DataFrame({"label": ["spam", "ham", "news", "spam"]}, index=[5, 3, 9, 1])
    ids = label_ids(messages, ["news", "spam", "ham"])
    assert ids.tolist() == [1, 2, 0, 1]
    assert ids.dtype == np.int64


def test_a_label_that_is_not_in_the_list_is_named() -> None:
    with pytest.raises(InputError, match="label 'eggs' is none of ham, spam; run `dvc repro`"):
        label_ids(pd.DataFrame({"label": ["ham", "eggs"]}), ["ham", "spam"])


def test_a_small_probability_is_not_rounded_to_zero() -> None:
    messages = pd.DataFrame({"line": [1], "label": ["ham"], "text": ["hi"]})
    table = predictions_table(messages, np.array([[1 - 1.25e-12, 1.25e-12]]), ["ham", "spam"])
    assert table.loc[0, "probability_spam"] == 1.25e-12
