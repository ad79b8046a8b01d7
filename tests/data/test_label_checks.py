"""Classes come from the data or from the parameters; what looks like a mistake is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from spam_gpt2.common.files import InputError
from spam_gpt2.data.label_checks import check_labels


def frame(*labels: str) -> pd.DataFrame:
    return pd.DataFrame({"line": range(1, len(labels) + 1), "label": labels, "text": labels})


def test_labels_come_from_the_data_sorted_or_from_the_parameters() -> None:
    messages = frame("spam", "ham", "eggs", "spam")
    assert check_labels(messages, None, Path("f")) == ["eggs", "ham", "spam"]
    assert check_labels(messages, ["spam", "eggs", "ham"], Path("f")) == ["spam", "eggs", "ham"]


@pytest.mark.parametrize(
    ("messages", "labels", "expected"),
    [
        (frame("ham", "ham"), None, "all messages are labelled 'ham'"),
        (frame("ham", "spam", "egg"), ["ham", "spam"], "f: line 3: label 'egg' is not in prepare"),
        (frame("ham", "spam"), ["ham", "spam", "egg"], "no message labelled 'egg'"),
        (
            frame("class", "ham", "spam", "ham"),
            None,
            "f: line 1: .* labelled 'class'; if that is a header, name two of its columns in "
            "prepare.columns$",
        ),
        (
            frame('"label"', '"ham"', '"spam"', '"ham"'),
            None,
            "f: line 1: .* if quotes enclose the fields, set prepare.quoting: default$",
        ),
    ],
)
def test_labels_that_do_not_fit_the_data(
    messages: pd.DataFrame, labels: list[str] | None, expected: str
) -> None:
    with pytest.raises(InputError, match=expected):
        check_labels(messages, labels, Path("f"))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        (
            frame("Spam", "spam", "ham", "spam", "Ham", "ham"),
            "differ in case only: 'Ham' (1) and 'ham' (2); 'Spam' (1) and 'spam' (2). ",
        ),
        (frame('"ham"', '"spam"', '"ham"', '"spam"'), "set prepare.quoting: default"),
        (frame(*(f"a text {i}" for i in range(150)), "a text 0"), "150 different labels in 151"),
    ],
    ids=["case", "quotes", "texts"],
)
def test_labels_that_look_like_a_mistake_are_named(messages: pd.DataFrame, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        check_labels(messages, None, Path("f"))
    assert expected in str(caught.value)
    listed = sorted(set(messages["label"]))
    assert check_labels(messages, listed, Path("f")) == listed
