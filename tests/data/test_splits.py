"""Splits: nothing is lost, nothing leaks, and the tutorials' recipe comes out to the message."""

from __future__ import annotations

import random
from collections import Counter
from itertools import combinations, pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from spam_gpt2.data.messages import read_messages
from spam_gpt2.data.splits import (
    SPLITS,
    Split,
    describe,
    split_messages,
    texts_with_several_labels,
)

SHARED_PATH = ROOT.parent / "shared/data/sms/SMSSpamCollection"
NEEDS_SHARED = pytest.mark.skipif(not SHARED_PATH.is_file(), reason=f"no {SHARED_PATH}")
DEFAULTS = {
    "duplicates": "together",
    "balance": True,
    "stratify": True,
    "train": 0.7,
    "validation": 0.1,
    "seed": 123,
}
TUTORIALS = DEFAULTS | {"duplicates": "keep", "stratify": False}
SEEDS = (0, 1, 2, 3, 123)
Row = tuple[int, str, str]


def split(messages: pd.DataFrame, **changes: object) -> Split:
    return split_messages(messages, **DEFAULTS | changes)


def table(*messages: tuple[str, str]) -> pd.DataFrame:
    """Messages of labels and texts, on lines from 1."""
    rows = [(line, *message) for line, message in enumerate(messages, 1)]
    return pd.DataFrame(rows, columns=["line", "label", "text"])


def distinct(**counts: int) -> pd.DataFrame:
    """So many messages of each label, all with texts of their own."""
    return table(*((k, f"{k} {i}") for k, count in counts.items() for i in range(count)))


def rows(frame: pd.DataFrame) -> list[Row]:
    return list(frame[["line", "label", "text"]].itertuples(index=False, name=None))


def all_rows(made: Split) -> dict[str, list[Row]]:
    return {name: rows(frame) for name, frame in made.frames().items()}


def counted(frame: pd.DataFrame) -> dict[str, int]:
    return dict(Counter(frame["label"]))


# Cases counted by hand.


@pytest.mark.parametrize("duplicates", ["together", "keep", "drop"])
@pytest.mark.parametrize("seed", SEEDS)
def test_balanced_and_stratified(duplicates: str, seed: int) -> None:
    made = split(distinct(ham=30, spam=10), duplicates=duplicates, seed=seed, train=0.6)
    assert counted(made.train) == {"ham": 6, "spam": 6}
    assert counted(made.validation) == {"ham": 1, "spam": 1}
    assert counted(made.test) == {"ham": 3, "spam": 3}
    assert counted(made.holdout) == {"ham": 20}


@pytest.mark.parametrize("seed", SEEDS)
def test_stratified_at_the_natural_rate(seed: int) -> None:
    messages = distinct(spam=20, ham=40, news=10)
    made = split(messages, balance=False, train=0.5, validation=0.2, seed=seed)
    assert counted(made.train) == {"ham": 20, "spam": 10, "news": 5}
    assert counted(made.validation) == {"ham": 8, "spam": 4, "news": 2}
    assert counted(made.test) == {"ham": 12, "spam": 6, "news": 3}
    assert made.holdout.empty
    assert list(made.holdout) == ["line", "label", "text"]


def test_unstratified_counts_are_those_of_all_classes_together() -> None:
    made = split(distinct(ham=90, spam=40), stratify=False, train=0.5, validation=0.25)
    sizes = [len(frame) for frame in made.frames().values()]
    assert sizes == [40, 20, 20, 50]
    assert counted(made.train)["ham"] != 20  # of 40; the draw with seed 123 is uneven


def test_three_classes_are_all_cut_to_the_smallest() -> None:
    made = split(distinct(ham=25, news=12, spam=10), train=0.6, validation=0.2)
    assert counted(made.train) == {"ham": 6, "news": 6, "spam": 6}
    assert counted(made.validation) == {"ham": 2, "news": 2, "spam": 2}
    assert counted(made.test) == {"ham": 2, "news": 2, "spam": 2}
    assert counted(made.holdout) == {"ham": 15, "news": 2}


def test_the_holdout_is_in_the_files_order_and_the_rest_is_not() -> None:
    made = split(distinct(ham=100, spam=50))
    assert made.holdout["line"].is_monotonic_increasing
    for name in SPLITS:
        frame = made.frames()[name]
        assert not frame["line"].is_monotonic_increasing, name
        assert not frame["label"].is_monotonic_increasing, name  # classes are mixed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_text_that_does_not_fit_is_passed_over_and_the_counts_are_exact(seed: int) -> None:
    """Three of ten messages are one text: train and validation may hold two of each class."""
    ham = [("ham", "three times")] * 3 + [("ham", f"ham {i}") for i in range(7)]
    spam = [("spam", f"spam {i}") for i in range(10)]
    made = split(table(*ham, *spam), train=0.2, validation=0.2, seed=seed)
    assert counted(made.train) == {"ham": 2, "spam": 2}
    assert counted(made.validation) == {"ham": 2, "spam": 2}
    assert list(made.test["text"]).count("three times") == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_text_that_is_more_frequent_than_the_smallest_class_is_left_over(seed: int) -> None:
    ham = [("ham", "very often")] * 11 + [("ham", f"ham {i}") for i in range(10)]
    made = split(table(*ham, *(("spam", f"spam {i}") for i in range(10))), seed=seed)
    assert set(made.holdout["text"]) == {"very often"}
    assert len(made.holdout) == 11


def test_line_by_line_the_same_text_comes_to_stand_in_two_splits() -> None:
    messages = table(*((k, f"{k} {i % 10}") for k in ("ham", "spam") for i in range(40)))
    assert set(split(messages, duplicates="keep").train["text"]) & set(
        split(messages, duplicates="keep").test["text"]
    )
    made = split(messages)
    assert not set(made.train["text"]) & set(made.test["text"])


def test_of_a_dropped_text_the_first_message_stays() -> None:
    ham = [("ham", f"ham {i % 10}") for i in range(30)]
    messages = table(*ham, *(("spam", f"spam {i}") for i in range(10)))
    made = split(messages, duplicates="drop", train=0.6)
    lines = sorted(line for frame in made.frames().values() for line in frame["line"])
    assert lines == [*range(1, 11), *range(31, 41)]
    assert made.holdout.empty


@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_text_with_two_labels_stands_in_one_frame(
    balance: bool, stratify: bool, seed: int
) -> None:
    both = [(label, f"both {i}") for i in range(20) for label in ("ham", "spam")]
    ham = [("ham", f"ham {i}") for i in range(40)]
    spam = [("spam", f"spam {i}") for i in range(20)]
    messages = table(*both, *ham, *spam)
    assert_no_text_in_two_frames(
        split(messages, balance=balance, stratify=stratify, train=0.5, validation=0.2, seed=seed)
    )


@pytest.mark.parametrize(
    ("messages", "choices", "expected"),
    [
        (distinct(ham=1, spam=1), {}, "none labelled 'ham' in the train split"),
        (distinct(ham=9, spam=9), {}, "none labelled 'ham' in the validation split"),
        (
            distinct(ham=90, spam=9),
            {"balance": False},
            "none labelled 'spam' in the validation split",
        ),
        (
            table(*[("ham", "a"), ("spam", "b")] * 5),
            {"train": 0.2, "validation": 0.2},
            "none labelled 'ham' in the train split",
        ),
        (
            table(*[("ham", f"{i}") for i in range(10)], *[("spam", f"{i}") for i in range(10)]),
            {"duplicates": "drop"},
            "none labelled 'spam' in the train split",
        ),
    ],
    ids=["two messages", "a tenth of nine", "a rare class", "two texts", "nothing but repeats"],
)
def test_a_class_without_messages_in_a_split_is_named(
    messages: pd.DataFrame, choices: dict, expected: str
) -> None:
    with pytest.raises(ValueError, match=f"too few messages: {expected}"):
        split(messages, **choices)


@pytest.mark.parametrize("balance", [True, False])
def test_the_smallest_class_is_blamed(balance: bool) -> None:
    """It is to be found from the line: with balancing, another class may be the one that lacks."""
    with pytest.raises(ValueError, match=r"the smallest class is 'sapm' with 2\b") as caught:
        split(distinct(ham=90, sapm=2, spam=60), balance=balance)
    assert ("balancing cuts" in str(caught.value)) == balance


@pytest.mark.parametrize("duplicates", ["together", "keep", "drop"])
@pytest.mark.parametrize("stratify", [True, False])
def test_the_same_seed_draws_the_same_and_another_does_not(duplicates: str, stratify: bool) -> None:
    messages = distinct(ham=60, spam=40)
    choices = {"duplicates": duplicates, "stratify": stratify}
    np.random.seed(1)
    first = all_rows(split(messages, seed=5, **choices))
    np.random.seed(2)  # numpy's global generator is not what draws
    assert all_rows(split(messages.copy(), seed=5, **choices)) == first
    other = all_rows(split(messages, seed=6, **choices))
    for name in (*SPLITS, "holdout"):
        assert sorted(other[name]) != sorted(first[name]), name


def test_the_messages_stay_as_they_are() -> None:
    messages = distinct(ham=30, spam=20)
    before = messages.copy()
    split(messages)
    pd.testing.assert_frame_equal(messages, before)


def test_description_counts_messages_repeats_and_leaks() -> None:
    messages = table(("ham", "a"), ("ham", "a"), ("ham", "a"), ("spam", "b"), ("spam", "c"))
    made = Split(
        train=messages.iloc[[0, 3]],
        validation=messages.iloc[[1]],
        test=messages.iloc[[4]],
        holdout=messages.iloc[[2]],
    )
    described = describe(messages, made, ["spam", "ham"])
    assert described == {
        "messages": {"total": 5, "spam": 2, "ham": 3},
        "repeated_texts": 2,
        "texts_with_several_labels": 0,
        "splits": {
            "train": {"total": 2, "spam": 1, "ham": 1},
            "validation": {"total": 1, "spam": 0, "ham": 1},
            "test": {"total": 1, "spam": 1, "ham": 0},
            "holdout": {"total": 1, "spam": 0, "ham": 1},
        },
        "also_in_train": {"validation": 1, "test": 0, "holdout": 1},
    }
    assert list(described["messages"]) == ["total", "spam", "ham"]


def test_a_class_named_total_leaves_the_total_as_it_is() -> None:
    messages = distinct(ham=20, total=10)
    described = describe(messages, split(messages), ["ham", "total"])
    assert described["messages"] == {"total": 30, "ham": 20, "total (class)": 10}


def test_a_text_with_several_labels_is_counted_once() -> None:
    both = [("ham", "a"), ("spam", "a"), ("spam", "a"), ("eggs", "a"), ("ham", "b"), ("ham", "b")]
    messages = table(*both, ("ham", "c"), ("spam", "c"))
    assert texts_with_several_labels(messages) == 2


# Properties that hold for any messages.


@st.composite
def messages_with_repeats(draw: st.DrawFn, labels: tuple[str, ...] | None = None) -> pd.DataFrame:
    """Two or three classes of 16 to 40 texts, one to three messages each, in any order."""
    labels = labels or draw(st.sampled_from([("ham", "spam"), ("ham", "news", "spam")]))
    copies = st.lists(st.integers(1, 3), min_size=16, max_size=40)
    messages = [
        (label, f"{label} {i}")
        for label in labels
        for i, count in enumerate(draw(copies))
        for _ in range(count)
    ]
    draw(st.randoms(use_true_random=False)).shuffle(messages)
    return table(*messages)


CHOICES = st.fixed_dictionaries(
    {
        "balance": st.booleans(),
        "stratify": st.booleans(),
        "train": st.floats(0.25, 0.5),
        "validation": st.floats(0.25, 0.4),
        "seed": st.integers(0, 2**32 - 1),
    }
)
few_examples = settings(max_examples=25, deadline=None)


def split_or_reject(messages: pd.DataFrame, duplicates: str, choices: dict) -> Split:
    """A split; unstratified, chance may leave a class out of one, which is no example then."""
    try:
        return split_messages(messages, duplicates=duplicates, **choices)
    except ValueError:
        if choices["stratify"]:
            raise
        reject()


def assert_no_text_in_two_frames(made: Split) -> None:
    for (one, first), (other, second) in combinations(made.frames().items(), 2):
        assert not set(first["text"]) & set(second["text"]), (one, other)


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES)
@pytest.mark.parametrize("duplicates", ["together", "keep"])
def test_each_message_stands_in_exactly_one_frame(
    duplicates: str, messages: pd.DataFrame, choices: dict
) -> None:
    made = split_or_reject(messages, duplicates, choices)
    found = [row for frame in made.frames().values() for row in rows(frame)]
    assert sorted(found) == rows(messages)


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES)
def test_dropped_duplicates_leave_the_first_message_of_each_text_in_one_frame(
    messages: pd.DataFrame, choices: dict
) -> None:
    made = split_or_reject(messages, "drop", choices)
    first: dict[str, Row] = {}
    for row in rows(messages):
        first.setdefault(row[2], row)
    found = [row for frame in made.frames().values() for row in rows(frame)]
    assert sorted(found) == list(first.values())


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES, relabelled=st.sets(st.integers(0, 30)))
def test_together_no_text_stands_in_two_frames(
    messages: pd.DataFrame, choices: dict, relabelled: set[int]
) -> None:
    """Whatever the labels: some messages have another than the rest of their text."""
    messages.loc[messages.index.isin(relabelled), "label"] = "spam"
    assert_no_text_in_two_frames(split_or_reject(messages, "together", choices))


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES)
@pytest.mark.parametrize("duplicates", ["together", "keep", "drop"])
def test_balanced_classes_are_equal(duplicates: str, messages: pd.DataFrame, choices: dict) -> None:
    """With whole texts only: as equal as they can be, so that no text left over would still fit."""
    made = split_or_reject(messages, duplicates, choices | {"balance": True})
    kept = messages.drop_duplicates("text") if duplicates == "drop" else messages
    smallest = min(counted(kept).values())
    balanced = counted(pd.concat([made.train, made.validation, made.test]))
    if duplicates == "together":
        for label, left in made.holdout.groupby("label"):
            assert_nothing_more_fits(balanced.pop(label), left, smallest)
    assert set(balanced.values()) == {smallest}


def assert_nothing_more_fits(count: int, others: pd.DataFrame, asked: int) -> None:
    """At most what was asked for, and too little room for any of the other texts."""
    assert count <= asked
    assert all(count + copies > asked for copies in Counter(others["text"]).values())


def strata(made: Split, stratified: bool) -> list[list[pd.DataFrame]]:
    """Train, validation and test of each class, or of all classes together."""
    frames = [made.frames()[name] for name in SPLITS]
    if not stratified:
        return [frames]
    return [[f[f["label"] == label] for f in frames] for label in set(made.train["label"])]


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES)
@pytest.mark.parametrize("duplicates", ["keep", "drop"])
def test_fractions_are_as_asked_to_the_message(
    duplicates: str, messages: pd.DataFrame, choices: dict
) -> None:
    made = split_or_reject(messages, duplicates, choices)
    for parts in strata(made, choices["stratify"]):
        total = sum(map(len, parts))
        assert 0 <= total * choices["train"] - len(parts[0]) < 1
        assert 0 <= total * choices["validation"] - len(parts[1]) < 1


@few_examples
@given(messages=messages_with_repeats(), choices=CHOICES)
def test_together_fractions_are_as_asked_within_what_whole_texts_allow(
    messages: pd.DataFrame, choices: dict
) -> None:
    made = split_or_reject(messages, "together", choices)
    for parts in strata(made, choices["stratify"]):
        total = sum(map(len, parts))
        train, validation, test = parts
        later = pd.concat([validation, test])
        assert_nothing_more_fits(len(train), later, int(total * choices["train"]))
        assert_nothing_more_fits(len(validation), test, int(total * choices["validation"]))


# The recipe of GPT-2 tutorials, written down here once more in plain pandas.

Messages = list[tuple[str, str]]  # label and text


def tutorials_recipe(path: Path, seed: int, train: float, validation: float) -> list[Messages]:
    """Read, downsample ham to spam, shuffle, cut: train, validation and test in their order."""
    everything = pd.read_csv(path, sep="\t", header=None, names=["label", "text"])
    spam = everything[everything["label"] == "spam"]
    ham = everything[everything["label"] == "ham"].sample(len(spam), random_state=seed)
    balanced = pd.concat([ham, spam]).sample(frac=1, random_state=seed).reset_index(drop=True)
    train_end = int(train * len(balanced))
    validation_end = train_end + int(validation * len(balanced))
    bounds = (0, train_end, validation_end, len(balanced))
    return [labels_and_texts(balanced[a:b]) for a, b in pairwise(bounds)]


def labels_and_texts(frame: pd.DataFrame) -> Messages:
    return list(zip(frame["label"], frame["text"], strict=True))


def our_recipe(path: Path, **changes: object) -> list[Messages]:
    made = split_messages(read_messages(path, "default"), **TUTORIALS | changes)
    return [labels_and_texts(made.frames()[name]) for name in SPLITS]


@NEEDS_SHARED
def test_the_tutorials_splits_of_the_real_messages() -> None:
    assert len(pd.read_csv(SHARED_PATH, sep="\t", header=None)) == 5_572
    messages = read_messages(SHARED_PATH, "default")
    assert len(messages) == 5_572
    assert counted(messages) == {"ham": 4_825, "spam": 747}
    train, validation, test = our_recipe(SHARED_PATH)
    assert [train, validation, test] == tutorials_recipe(SHARED_PATH, 123, 0.7, 0.1)
    assert [len(train), len(validation), len(test)] == [1_045, 149, 300]
    training_texts = {text for _, text in train}
    leaked = [label for label, text in test if text in training_texts]
    assert len(leaked) == 37
    assert leaked.count("spam") == 33
    assert sum(text in training_texts for _, text in validation) == 13


@NEEDS_SHARED
def test_the_leaks_of_the_tutorials_splits_are_described() -> None:
    messages = read_messages(SHARED_PATH, "default")
    made = split_messages(messages, **TUTORIALS)
    described = describe(messages, made, ["ham", "spam"])
    assert described["also_in_train"]["test"] == 37
    assert described["also_in_train"]["validation"] == 13
    assert described["splits"]["holdout"] == {"total": 4_078, "ham": 4_078, "spam": 0}


def write_collection(path: Path) -> None:
    """A made-up file like the collection: repeated texts, and quotes that run over lines."""
    draw = random.Random(7)
    lines = []
    for _ in range(500):
        label = draw.choices(["ham", "spam"], [5, 1])[0]
        text = f"{label}, it's {draw.randrange(150)}"
        lines.append(f"{label}\t{text}")
    for at in (40, 333):  # a quote that opens at one message and closes at the next
        lines[at] = lines[at].replace("\t", '\t"')
        lines[at + 1] += '"'
    lines[100] += ' "quoted"'
    lines[200] = 'ham\t"all of it, with ""two"" inside"'
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


@pytest.mark.parametrize("seed", [123, 0, 7])
@pytest.mark.parametrize(("train", "validation"), [(0.7, 0.1), (0.33, 0.29)])
def test_the_tutorials_splits_of_made_up_messages(
    tmp_path: Path, seed: int, train: float, validation: float
) -> None:
    path = tmp_path / "SMSSpamCollection"
    write_collection(path)
    assert len(read_messages(path, "none")) == 500
    assert len(read_messages(path, "default")) == 498
    ours = our_recipe(path, seed=seed, train=train, validation=validation)
    assert ours == tutorials_recipe(path, seed, train, validation)
    assert {text for _, text in ours[0]} & {text for _, text in ours[2]}


# The default recipe.


@NEEDS_SHARED
def test_the_default_splits_of_the_real_messages() -> None:
    messages = read_messages(SHARED_PATH)
    assert counted(messages) == {"ham": 4_827, "spam": 747}
    assert len(messages) - len(set(messages["text"])) == 403
    made = split(messages)
    assert counted(made.train) == {"ham": 522, "spam": 522}
    assert counted(made.validation) == {"ham": 74, "spam": 74}
    assert counted(made.test) == {"ham": 151, "spam": 151}
    assert counted(made.holdout) == {"ham": 4_080}
    assert_no_text_in_two_frames(made)
    found = [row for frame in made.frames().values() for row in rows(frame)]
    assert sorted(found) == rows(messages)


@pytest.mark.parametrize("duplicates", ["together", "keep", "drop"])
@pytest.mark.parametrize("stratify", [True, False])
@pytest.mark.parametrize("balance", [True, False])
def test_in_the_files_order_nothing_is_shuffled(
    duplicates: str, stratify: bool, balance: bool
) -> None:
    messages = table(*((("ham", "spam", "ham")[i % 3], f"text {i}") for i in range(120)))
    choices = {"duplicates": duplicates, "stratify": stratify, "balance": balance, "order": "file"}
    made = split(messages, train=0.5, validation=0.25, **choices)
    lines = [list(frame["line"]) for frame in (made.train, made.validation, made.test)]
    assert all(part == sorted(part) for part in lines)
    for label in ("ham", "spam") if stratify else (None,):
        kept = [
            [line for line in part if label in (None, messages["label"][line - 1])]
            for part in lines
        ]
        in_order = [line for part in kept for line in part]
        assert in_order == sorted(in_order)  # the first train, the last test
    if not balance:
        assert [len(part) for part in lines] == [60, 30, 30]
        other = split(messages, train=0.5, validation=0.25, seed=5, **choices)
        assert all_rows(other) == all_rows(made)  # nothing is drawn
