"""Folds: every message tested once a repeat, no group torn apart, drawn as scikit-learn does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import CrossValidate
from spam_gpt2.data.folds import balanced, digest_of, make_folds, with_groups

NONE = pd.DataFrame({"campaign": [], "line": []})


def choices(**changes: object) -> CrossValidate:
    return CrossValidate(**{"folds": 5, "repeats": 2, "group": "text", "seed": 3} | changes)


def messages(texts: list[str]) -> pd.DataFrame:
    """A message of each text on lines from 1; every third is spam."""
    labels = ["spam" if i % 3 == 0 else "ham" for i in range(len(texts))]
    return pd.DataFrame({"line": range(1, len(texts) + 1), "label": labels, "text": texts})


def distinct(count: int) -> pd.DataFrame:
    return messages([f"text {i}" for i in range(count)])


@given(st.lists(st.integers(0, 40), min_size=80, max_size=120))
@settings(max_examples=20)
def test_every_message_is_tested_once_a_repeat_and_no_text_is_torn_apart(ids: list[int]) -> None:
    alone = [f"alone {i}" for i in range(60)]
    frame = with_groups(messages([*alone, *(f"text {i}" for i in ids)]), "text", NONE)
    folds = make_folds(frame, choices())
    assert [(f.repeat, f.number) for f in folds] == [(r, n) for r in (1, 2) for n in range(1, 6)]
    for repeat in (1, 2):
        tested = np.concatenate([f.test for f in folds if f.repeat == repeat])
        assert sorted(tested) == list(range(len(frame)))
    texts = frame["text"].to_numpy()
    for fold in folds:
        assert not set(texts[fold.train]) & set(texts[fold.test])
        assert sorted([*fold.train, *fold.test]) == list(range(len(frame)))


def test_folds_hold_each_class_at_its_share() -> None:
    frame = with_groups(distinct(300), "text", NONE)
    for fold in make_folds(frame, choices(folds=10)):
        assert len(fold.test) == 30
        assert (frame["label"].to_numpy()[fold.test] == "spam").sum() == 10


@pytest.mark.parametrize("group", ["none", "text"])
def test_folds_are_scikit_learns(group: str) -> None:
    frame = with_groups(messages([f"text {i % 50}" for i in range(120)]), group, NONE)
    if group == "none":
        splitter, groups = StratifiedKFold, None
    else:
        splitter, groups = StratifiedGroupKFold, frame["group"]
    expected = [
        test
        for seed in (3, 4)
        for _, test in splitter(5, shuffle=True, random_state=seed).split(
            frame, frame["label"], groups
        )
    ]
    found = [fold.test for fold in make_folds(frame, choices(group=group))]
    assert all(map(np.array_equal, found, expected))
    assert not np.array_equal(found[0], found[5])  # a repeat has folds of its own


def test_groups_are_what_the_parameter_says() -> None:
    frame = messages(["a", "b", "a", "c", "d"])
    campaigns = pd.DataFrame({"campaign": ["2", "2", "1", "1"], "line": ["2", "4", "1", "3"]})

    def together(group: str) -> list[set[int]]:
        made = with_groups(frame, group, campaigns)
        return [set(rows["line"]) for _, rows in made.groupby("group") if len(rows) > 1]

    assert together("none") == []
    assert together("text") == [{1, 3}]
    assert sorted(together("campaign"), key=min) == [{1, 3}, {2, 4}]
    assert with_groups(frame, "campaign", campaigns)["group"].nunique() == 3


def test_balanced_training_is_drawn_from_the_fold_alone_in_whole_groups() -> None:
    frame = with_groups(messages([f"text {i // 2}" for i in range(240)]), "text", NONE)
    frame["label"] = ["spam" if i // 2 % 4 == 0 else "ham" for i in range(240)]
    fold = make_folds(frame, choices())[0]
    chosen = balanced(frame, fold.train, True, seed=1)
    counts = frame["label"].iloc[chosen].value_counts()
    spam = (frame["label"].iloc[fold.train] == "spam").sum()
    assert counts["spam"] == counts["ham"] == spam
    assert set(chosen) <= set(fold.train)
    assert (np.diff(chosen) > 0).all()
    assert (frame.iloc[chosen].groupby("group").size() == 2).all()
    assert not np.array_equal(chosen, balanced(frame, fold.train, True, seed=2))


def test_more_folds_than_messages_of_a_class_are_refused_in_a_line() -> None:
    frame = with_groups(messages(["spam text"] + [f"text {i}" for i in range(20)]), "text", NONE)
    with pytest.raises(InputError) as caught:
        make_folds(frame, choices(folds=8))
    assert str(caught.value) == (
        "params.yaml: cross_validate.folds: 8 are too many for the 7 'spam' messages or groups of "
        "messages"
    )


def test_equal_digests_are_the_same_folds() -> None:
    frame = with_groups(distinct(60), "text", NONE)
    digest = digest_of(frame, make_folds(frame, choices()))
    assert digest == digest_of(frame, make_folds(frame.copy(), choices()))
    others = [
        digest_of(frame, make_folds(frame, choices(seed=4))),
        digest_of(frame, make_folds(frame, choices(repeats=1))),
        digest_of(frame.assign(line=frame["line"] + 1), make_folds(frame, choices())),
        digest_of(frame.assign(label=frame["label"][::-1].tolist()), make_folds(frame, choices())),
    ]
    assert digest not in others
