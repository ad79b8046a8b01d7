"""Folds for cross-validation: every message is tested once a repeat, and no group is torn apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import pandas as pd
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from spam_gpt2.common.files import InputError
from spam_gpt2.common.params import PARAMS_PATH, CrossValidate
from spam_gpt2.data.splits import downsample


@dataclass(frozen=True)
class Fold:
    """Positions of the messages that train and of those that test, ascending."""

    repeat: int  # from 1
    number: int  # from 1
    train: np.ndarray
    test: np.ndarray


def with_groups(messages: pd.DataFrame, group: str, campaigns: pd.DataFrame) -> pd.DataFrame:
    """The messages with a column `group`, the same for those that must not be torn apart.

    Args:
        messages: columns line, label, text.
        group: none, text or campaign, as in `cross_validate.group`.
        campaigns: what `campaigns_table` made, all columns as text; needed for campaign alone.
    """
    if group == "text":
        return messages.assign(group=pd.factorize(messages["text"])[0])
    alone = pd.Series(np.arange(len(messages)), index=messages.index)
    if group == "none":
        return messages.assign(group=alone)
    number = campaigns.astype({"line": int, "campaign": int}).set_index("line")["campaign"]
    of_campaign = messages["line"].astype(int).map(number)
    return messages.assign(group=(-of_campaign).fillna(alone).astype(int))  # numbers from 1


def make_folds(messages: pd.DataFrame, settings: CrossValidate) -> list[Fold]:
    """Stratified folds, of whole groups, drawn anew for each repeat; by scikit-learn.

    Args:
        messages: columns label and group.

    Raises: InputError when a class has too few groups for so many folds.
    """
    _check_counts(messages, settings.folds)
    labels, groups = messages["label"].to_numpy(), messages["group"].to_numpy()
    splitter = StratifiedGroupKFold
    if settings.group == "none":
        splitter, groups = StratifiedKFold, None
    folds = []
    for repeat in range(settings.repeats):
        drawn = splitter(
            settings.folds, shuffle=True, random_state=(settings.seed + repeat) % 2**32
        )
        for number, (train, test) in enumerate(drawn.split(labels, labels, groups), 1):
            folds.append(Fold(repeat + 1, number, train, test))
    return folds


def _check_counts(messages: pd.DataFrame, folds: int) -> None:
    by_class = messages.groupby("label")["group"].nunique()
    if by_class.min() < folds:
        raise InputError(
            f"{PARAMS_PATH}: cross_validate.folds: {folds} are too many for the "
            f"{by_class.min()} {by_class.idxmin()!r} messages or groups of messages"
        )


def balanced(messages: pd.DataFrame, rows: np.ndarray, grouped: bool, seed: int) -> np.ndarray:
    """Positions that are left when every class is downsampled to the smallest, ascending.

    Args:
        messages: columns line, label and group.
        rows: positions among which is drawn.
    """
    part = messages.iloc[rows].assign(position=rows)
    return np.sort(downsample(part, grouped, seed % 2**32)[0]["position"].to_numpy())


def digest_of(messages: pd.DataFrame, folds: list[Fold]) -> str:
    """SHA-256 of which message is tested in which fold: equal digests are the same folds."""
    digest = sha256()
    for line in _lines(messages, folds):
        digest.update(line.encode())
    return digest.hexdigest()


def _lines(messages: pd.DataFrame, folds: list[Fold]) -> Iterator[str]:
    lines, labels = messages["line"].tolist(), messages["label"].tolist()
    for fold in folds:
        yield f"{fold.repeat} {fold.number}\n"
        yield from (f"{lines[i]}\t{labels[i]}\n" for i in fold.test)
