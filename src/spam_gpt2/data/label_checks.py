"""The classes: which labels there are, in which order, and what looks like a mistake in them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from spam_gpt2.common.files import InputError

MANY = 20  # labels; more of them than half of the messages are no classes


def check_labels(messages: pd.DataFrame, labels: list[str] | None, path: Path) -> list[str]:
    """The classes in order: those given, or those of the data, sorted.

    Raises InputError for a label of the data that is not listed, a listed one without messages,
    what looks like a header or like texts, and labels that differ in case only.
    """
    counts = messages["label"].value_counts()
    found = sorted(counts.index)
    if len(found) < 2:
        raise InputError(f"{path}: all messages are labelled {found[0]!r}; two classes are needed")
    if labels is None:
        _check_unlisted(messages, counts, path)
        return found
    for label in found:
        if label not in labels:
            line = messages.loc[messages["label"] == label, "line"].iloc[0]
            raise InputError(f"{path}: line {line}: label {label!r} is not in prepare.labels")
    for label in labels:
        if label not in found:
            raise InputError(f"prepare.labels: {path} has no message labelled {label!r}")
    return labels


def _check_unlisted(messages: pd.DataFrame, counts: pd.Series, path: Path) -> None:
    """What labels are not that nobody listed."""
    groups: dict[str, list[str]] = {}
    for name in sorted(counts.index):
        groups.setdefault(name.casefold(), []).append(f"{name!r} ({counts[name]})")
    alike = [" and ".join(names) for names in groups.values() if len(names) > 1]
    if alike:
        raise InputError(
            f"{path}: labels that differ in case only: {'; '.join(alike)}. Make them one, or list "
            "them all in prepare.labels if they are classes of their own"
        )
    if len(counts) > MANY and 2 * len(counts) > len(messages):
        raise InputError(
            f"{path}: {len(counts)} different labels in {len(messages)} messages; if the first "
            "column is the text, say which is which in prepare.columns; if it holds more than a "
            "label, see prepare.delimiter"
        )
    line, label = messages[["line", "label"]].iloc[0]
    if line == 1 and counts[label] == 1:
        raise InputError(
            f"{path}: line 1: no other message is labelled {label!r}; if that is a header, name "
            "two of its columns in prepare.columns"
            + "; if quotes enclose the fields, set prepare.quoting: default"
            * ('"' in label)
        )
    if all(len(k) > 1 and k[0] == k[-1] == '"' for k in counts.index):
        raise InputError(f"{path}: labels in quotes; set prepare.quoting: default")
