"""Campaigns: near-twins against a count of all pairs, the audit by hand, and the splits."""

from __future__ import annotations

import random
import re
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spam_gpt2.data.campaigns import audit, campaigns_table, find_near_twins, masked, near_twins
from spam_gpt2.data.splits import split_messages

WORDS = [
    "call",
    "now",
    "free",
    "prize",
    "claim",
    "txt",
    "win",
    "urgent",
    "reply",
    "stop",
    "offer",
    "week",
    "mobile",
    "cash",
    "bonus",
]


def some_texts(seed: int, count: int = 150) -> list[str]:
    """Random texts, many of them others with a few words replaced."""
    draw = random.Random(seed)
    texts: list[str] = []
    for _ in range(count):
        if texts and draw.random() < 0.6:
            words = draw.choice(texts).split()
            for _ in range(draw.randint(0, 3)):
                words[draw.randrange(len(words))] = f"{draw.choice(WORDS)}{draw.randint(0, 99)}"
        else:
            words = [f"{draw.choice(WORDS)}{draw.choice('abcdefgh')}" for _ in range(12)]
        texts.append(" ".join(words))
    return texts


def jaccard(one: str, other: str) -> float:
    """Of the 4-grams of two texts, masked in another way than the module's."""
    sets = []
    for text in (one, other):
        kept = "".join("0" if c.isdigit() else c if c.isalnum() else " " for c in text.lower())
        kept = f" {' '.join(kept.split())} "
        sets.append(set(re.findall("(?=(....))", kept)))
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize("seed", range(3))
def test_near_twins_are_those_of_all_pairs(seed: int) -> None:
    texts = some_texts(seed)
    twins = find_near_twins(texts, 0.6)
    place = {int(k): i for i, k in reversed(list(enumerate(twins.text_ids)))}
    found = {
        (place[int(a)], place[int(b)]): s
        for a, b, s in zip(twins.first, twins.second, twins.similarity, strict=True)
    }
    first = sorted(place.values())
    truth = {(i, j): jaccard(texts[i], texts[j]) for i, j in combinations(first, 2)}
    for pair, similarity in found.items():  # not one is wrong
        assert truth[pair] == pytest.approx(similarity)
        assert similarity >= 0.6
    alike = {pair for pair, similarity in truth.items() if similarity >= 0.75}
    assert len(alike) > 20
    assert alike <= set(found)


def test_case_punctuation_and_digits_make_no_other_text() -> None:
    assert masked("FREE! Call 0800-123 now...") == masked("free call 9111 456 NOW")
    assert masked("!!!") != masked(":-)")  # nothing is left of either but itself
    same = find_near_twins(["Win £100 now!", "win £250, NOW", "see you"], 0.6)
    assert same.text_ids.tolist() == [0, 0, 1]
    assert len(find_near_twins([], 0.6).campaigns()) == 0


def test_without_a_search_equal_texts_are_one_campaign_all_the_same() -> None:
    texts = ["win 1 prize now", "Win 2 prize NOW", "win 3 prizes now"]
    assert near_twins(texts, 1.0).campaigns().tolist() == [0, 0, 1]
    assert near_twins(texts, 0.6).campaigns().tolist() == [0, 0, 0]


def test_a_campaign_is_a_chain_of_near_twins() -> None:
    base = "you have won a prize call the number below to claim it today before it is too late"
    texts = [base, base + " really now", base + " really now my friend", "see you at home tonight"]
    twins = find_near_twins(texts, 0.87)
    assert jaccard(texts[0], texts[2]) < 0.87 <= min(jaccard(*texts[:2]), jaccard(*texts[1:3]))
    campaigns = twins.campaigns()
    assert len({*campaigns[:3]}) == 1
    assert campaigns[3] != campaigns[0]


def test_the_audit_is_counted_by_hand() -> None:
    texts = [
        "win 1 prize now",
        "win 2 prize now",
        "Win 3 prize NOW",
        "later",
        "Later.",
        "hello you",
    ]
    twins = find_near_twins(texts, 0.6)
    members = {"train": np.array([0, 3, 5]), "test": np.array([1, 2]), "holdout": np.array([4])}
    found = audit(twins, members, 0.6)
    assert found["campaigns"] == 2
    assert found["messages_in_campaigns"] == 5
    assert found["largest"] == [3, 2]
    assert found["campaign_in_train"] == {"test": 2, "holdout": 1}
    pairs = {"train and test": 2, "train and holdout": 1, "test and holdout": 0}
    assert found["pairs_across_splits"] == {"0.6": pairs, "0.8": pairs}
    messages = pd.DataFrame({"line": range(1, 7), "label": "ham", "text": texts})
    table = campaigns_table(messages, twins.campaigns(), members)
    assert table[["campaign", "split", "line"]].to_numpy().tolist() == [
        [1, "train", 1], [1, "test", 2], [1, "test", 3], [2, "train", 4], [2, "holdout", 5],
    ]  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), balance=st.booleans(), stratify=st.booleans())
def test_no_campaign_stands_in_two_splits(seed: int, balance: bool, stratify: bool) -> None:
    texts = some_texts(seed)
    labels = ["spam" if i % 3 else "ham" for i in range(len(texts))]
    messages = pd.DataFrame({"line": range(1, len(texts) + 1), "label": labels, "text": texts})
    campaigns = find_near_twins(texts, 0.6).campaigns()
    choices = {"balance": balance, "stratify": stratify, "train": 0.4, "validation": 0.3}
    try:
        split = split_messages(
            messages, duplicates="campaign", campaigns=campaigns, seed=seed, **choices
        )
    except ValueError:
        return  # too few campaigns for three splits with every class
    of = [set(campaigns[frame["line"] - 1]) for frame in split.frames().values()]
    assert all(not one & other for one, other in combinations(of, 2))
    assert sum(len(frame) for frame in split.frames().values()) == len(texts)
