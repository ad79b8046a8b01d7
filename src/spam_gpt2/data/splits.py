"""Balance the classes and split messages into train, validation and test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from spam_gpt2.common.nested import class_keys

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Frames with the columns line, label and text."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    holdout: pd.DataFrame  # what balancing left over, at its natural rate

    def frames(self) -> dict[str, pd.DataFrame]:
        """All four by name."""
        return vars(self)


def split_messages(
    messages: pd.DataFrame,
    *,
    duplicates: str,
    campaigns: np.ndarray | None = None,
    balance: bool,
    stratify: bool,
    order: str = "random",
    train: float,
    validation: float,
    seed: int,
) -> Split:
    """Balance and split messages; see `prepare` in params.yaml for what the choices mean.

    With `duplicates="keep"`, `stratify=False` and seed 123 this draws exactly what GPT-2 tutorials
    draw with `DataFrame.sample(random_state=123)`. With `duplicates="together"` the messages of one
    text move as a group, so that no text stands in two of the four frames, and with "campaign"
    those of one campaign; a group that is labelled in several ways goes with the class of its first
    message. With `order="file"` nothing is shuffled: the first messages of the file train, the last
    test. Who is left out by balancing is drawn all the same.

    Args:
        messages: columns line, label, text.
        campaigns: a number for each message, (N,), needed for "campaign" alone.
        train, validation: fractions of the messages; the rest is the test set.

    Raises: ValueError when a split would be without messages of a class.
    """
    counts = messages["label"].value_counts()
    if duplicates == "drop":
        messages = messages.drop_duplicates("text", ignore_index=True)
    grouped = duplicates in ("together", "campaign")
    messages = messages.assign(group=campaigns if duplicates == "campaign" else messages["text"])
    balanced, holdout = downsample(messages, grouped, seed) if balance else (messages, messages[:0])
    in_order = order == "file"
    ordered = balanced.sort_values("line") if in_order else _shuffle(balanced, grouped, seed)
    strata = _classes(ordered, grouped) if stratify else [ordered]
    frames = _cut(strata, grouped, train, validation)
    for name, frame in frames.items():
        if stratify:  # the classes stand one after the other
            frame = frame.sort_values("line") if in_order else _shuffle(frame, False, seed)
        _check_classes(name, frame, counts, balance)
        frames[name] = frame
    frames["holdout"] = holdout
    return Split(**{name: frame.drop(columns="group") for name, frame in frames.items()})


def _cut(
    strata: list[pd.DataFrame], grouped: bool, train: float, validation: float
) -> dict[str, pd.DataFrame]:
    """The parts of each stratum, one stratum after the other, by split."""
    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in SPLITS}
    for stratum in strata:
        first, rest = _take(stratum, int(len(stratum) * train), grouped)
        second, third = _take(rest, int(len(stratum) * validation), grouped)
        for name, part in zip(SPLITS, (first, second, third), strict=True):
            parts[name].append(part)
    return {name: pd.concat(frames) for name, frames in parts.items()}


def _check_classes(name: str, frame: pd.DataFrame, counts: pd.Series, balance: bool) -> None:
    """ValueError when a class is missing: it could be neither learnt nor measured."""
    found = set(frame["label"])
    for label in sorted(counts.index):
        if label not in found:
            cut = ", and balancing cuts every class to the smallest" if balance else ""
            raise ValueError(
                f"too few messages: none labelled {label!r} in the {name} split; the smallest "
                f"class is {counts.idxmin()!r} with {counts.min()}{cut}. Mend a mistyped label, or "
                "add messages"
            )


def _classes(messages: pd.DataFrame, grouped: bool) -> list[pd.DataFrame]:
    """The messages of each class; grouped, all of a group by the label of its first."""
    label = messages["label"]
    if grouped:
        label = label.groupby(messages["group"]).transform("first")
    return [part for _, part in messages.groupby(label)]


def downsample(
    messages: pd.DataFrame, grouped: bool, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Downsample every class to the smallest: the balanced messages, and those left over.

    Args:
        messages: columns line, label and, where whole groups move together, group.
    """
    classes = _classes(messages, grouped)
    smallest = min(len(part) for part in classes)
    chosen, left = [], []
    for part in classes:
        if len(part) > smallest:
            part, rest = _take(_shuffle(part, grouped, seed), smallest, grouped)
            left.append(rest.sort_values("line"))
        chosen.append(part)
    return pd.concat(chosen), pd.concat(left) if left else messages[:0]


def _shuffle(messages: pd.DataFrame, grouped: bool, seed: int) -> pd.DataFrame:
    """Rows in random order; grouped, the rows of one group stay together."""
    if not grouped:
        return messages.sample(frac=1, random_state=seed)
    groups = messages["group"].drop_duplicates().sample(frac=1, random_state=seed)
    order = pd.Series(range(len(groups)), index=groups)
    return messages.iloc[messages["group"].map(order).argsort(kind="stable")]


def _take(messages: pd.DataFrame, count: int, grouped: bool) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The first `count` rows and the others; grouped, whole groups only.

    A group that no longer fits is passed over for later, smaller ones, so that the count comes out
    exactly whenever enough messages stand alone.
    """
    if not grouped:
        return messages[:count], messages[count:]
    sizes = messages.groupby("group", sort=False).size()
    taken, total = set(), 0
    for group, size in sizes.items():
        if total + size <= count:
            taken.add(group)
            total += size
    inside = messages["group"].isin(taken)
    return messages[inside], messages[~inside]


def describe(messages: pd.DataFrame, split: Split, labels: list[str]) -> dict[str, Any]:
    """Counts for `metrics/data.json`: messages a class, repeated texts, texts in two splits."""
    frames = split.frames()
    training_texts = split.train["text"]
    return {
        "messages": _counts(messages, labels),
        "repeated_texts": int(messages["text"].duplicated().sum()),
        "texts_with_several_labels": texts_with_several_labels(messages),
        "splits": {name: _counts(frame, labels) for name, frame in frames.items()},
        "also_in_train": {
            name: int(frame["text"].isin(training_texts).sum())
            for name, frame in frames.items()
            if name != "train"
        },
    }


def texts_with_several_labels(messages: pd.DataFrame) -> int:
    """How many texts are labelled in one way here and in another there."""
    distinct = messages[["label", "text"]].drop_duplicates()
    return int(distinct["text"][distinct["text"].duplicated()].nunique())


def _counts(messages: pd.DataFrame, labels: list[str]) -> dict[str, int]:
    counts = messages["label"].value_counts()
    keys = class_keys(labels, ["total"])
    of_classes = {k: int(counts.get(v, 0)) for k, v in zip(keys, labels, strict=True)}
    return {"total": len(messages)} | of_classes
