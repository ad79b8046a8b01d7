"""Messages that are nearly the same: spam comes in campaigns of one text with other numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any
from zlib import crc32

import numpy as np
import pandas as pd
from datasketch import MinHash, MinHashLSH
from scipy import sparse
from scipy.sparse.csgraph import connected_components

NGRAM = 4  # characters
BANDS, ROWS = 32, 4  # of the hashes of a text: equal in one whole band, two are candidates
AUDITED = (0.6, 0.8)  # similarities at which pairs across splits are counted
LARGEST = 5  # campaigns whose sizes are told
SEARCHED = 50_000  # messages; a search among more takes minutes, and is made when asked for


@dataclass(frozen=True)
class NearTwins:
    """Which messages are nearly the same."""

    text_ids: np.ndarray  # (N,), the same for messages that are equal once masked
    first: np.ndarray  # (P,), text ids of all pairs of different masked texts that are similar
    second: np.ndarray  # (P,), above first
    similarity: np.ndarray  # (P,), from the least asked for to below 1

    def at(self, similarity: float) -> NearTwins:
        """Only the pairs that are at least so similar; not below what was searched for."""
        near = self.similarity >= similarity
        return NearTwins(self.text_ids, self.first[near], self.second[near], self.similarity[near])

    def campaigns(self) -> np.ndarray:
        """A number for each message, (N,): equal where a chain of near-twins leads from one to the
        other."""
        count = int(self.text_ids.max(initial=-1)) + 1
        links = sparse.coo_array(
            (np.ones(len(self.first)), (self.first, self.second)), shape=(count, count)
        )
        return connected_components(links, directed=False)[1][self.text_ids]

    def with_twin(self, among: np.ndarray) -> np.ndarray:
        """Which messages have an equal or a near-twin among those marked, (N,) of bool.

        A marked message counts as its own twin.
        """
        marked = np.zeros(int(self.text_ids.max(initial=-1)) + 1, dtype=bool)
        marked[self.text_ids[among]] = True
        found = marked.copy()
        found[self.first[marked[self.second]]] = True
        found[self.second[marked[self.first]]] = True
        return found[self.text_ids]

    def pairs_between(self, one: np.ndarray, other: np.ndarray) -> int:
        """Pairs of a message at these positions and one at those that are equal or near-twins."""
        count = int(self.text_ids.max(initial=-1)) + 1
        ones = np.bincount(self.text_ids[one], minlength=count)
        others = np.bincount(self.text_ids[other], minlength=count)
        near = ones[self.first] * others[self.second] + ones[self.second] * others[self.first]
        return int(ones @ others + near.sum())


def audit(
    twins: NearTwins,
    members: dict[str, np.ndarray],
    similarity: float,
    levels: Sequence[float] = AUDITED,
) -> dict[str, Any]:
    """What `metrics/data.json` says of campaigns.

    Args:
        members: positions of the messages of each split, train among them.
        similarity: from which messages are of one campaign.
        levels: similarities at which pairs across splits are counted.
    """
    numbers = twins.at(similarity).campaigns()
    sizes = np.bincount(numbers)
    campaigns = np.sort(sizes[sizes > 1])[::-1]
    in_train = numbers[members["train"]]
    return {
        "similarity": similarity,
        "campaigns": len(campaigns),
        "messages_in_campaigns": int(campaigns.sum()),
        "largest": campaigns[:LARGEST].tolist(),
        "campaign_in_train": {
            name: int(np.isin(numbers[rows], in_train).sum())
            for name, rows in members.items()
            if name != "train"
        },
        "pairs_across_splits": {
            str(level): {
                f"{one} and {other}": twins.at(level).pairs_between(members[one], members[other])
                for one, other in combinations(members, 2)
            }
            for level in levels
        },
    }


def campaigns_table(
    messages: pd.DataFrame, campaigns: np.ndarray, members: dict[str, np.ndarray]
) -> pd.DataFrame:
    """All messages of campaigns of two and more, the largest campaign first.

    Args:
        messages: columns line, label, text.
        campaigns: a number for each message, (N,).
        members: positions of the messages of each split; those in none are left out.

    Returns: columns campaign (from 1), split, line, label, text.
    """
    split = pd.Series("", index=messages.index)
    for name, rows in members.items():
        split.iloc[rows] = name
    table = messages.assign(campaign=campaigns, split=split)[split != ""]
    size = table["campaign"].map(table["campaign"].value_counts())
    table = table.assign(size=size)[size > 1]
    table = table.sort_values(["size", "campaign", "line"], ascending=[False, True, True])
    table["campaign"] = pd.factorize(table["campaign"])[0] + 1
    return table[["campaign", "split", "line", "label", "text"]]


def masked(text: str) -> str:
    """The text less what a campaign varies: case, punctuation, and which digits stand in it.

    A text of nothing else is itself.
    """
    kept = re.sub(r"[\W_]+", " ", re.sub(r"\d", "0", text.casefold())).strip()
    return f" {kept or text} "


def near_twins(texts: Sequence[str], least: float) -> NearTwins:
    """As `find_near_twins`; at 1 only texts that are equal once masked, without a search."""
    if least < 1:
        return find_near_twins(texts, least)
    text_ids = pd.factorize(np.array([masked(text) for text in texts], dtype=object))[0]
    none = np.empty(0, dtype=int)
    return NearTwins(text_ids, none, none, np.empty(0))


def find_near_twins(texts: Sequence[str], similarity: float) -> NearTwins:
    """Pairs of texts whose sets of character n-grams, once masked, are so similar.

    Candidates come from MinHash with banding (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining
    of Massive Datasets", chapter 3), and each is then counted out, so that no pair is wrong. A pair
    of similarity s is missed with probability (1 - s^ROWS)^BANDS: 1.2 % at 0.6, 0.01 % at 0.7.

    Args:
        similarity: the least Jaccard similarity, above 0 and at most 1.
    """
    text_ids, distinct = pd.factorize(np.array([masked(text) for text in texts], dtype=object))
    grams = [_ngrams(text) for text in distinct]
    hashes = MinHash.bulk(
        [[gram.encode() for gram in sorted(row)] for row in grams],
        num_perm=BANDS * ROWS,
        hashfunc=crc32,
    )
    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    pairs = []
    for second, minhash in enumerate(hashes):
        for first in index.query(minhash):
            shared = len(grams[first] & grams[second])
            jaccard = shared / (len(grams[first]) + len(grams[second]) - shared)
            if jaccard >= similarity:
                pairs.append((first, second, jaccard))
        index.insert(second, minhash, check_duplication=False)
    first, second, jaccard = np.array(sorted(pairs)).reshape(-1, 3).T
    return NearTwins(text_ids, first.astype(int), second.astype(int), jaccard)


def _ngrams(text: str) -> set[str]:
    return {text[i : i + NGRAM] for i in range(max(1, len(text) - NGRAM + 1))}
