"""Nested dictionaries, as parameters and metrics are, seen as a flat list of dotted keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted keys: `finetune.epochs`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def class_keys(labels: Sequence[str], taken: Collection[str]) -> list[str]:
    """A key for each class beside other keys: its label, or `<label> (class)` where that is taken.

    A class may be named `total` or `weights`, as the figures beside it are.
    """
    used, keys = {*taken, *labels}, []
    for label in labels:
        key = label
        while key in taken or (key != label and key in used):
            key += " (class)"
        used.add(key)
        keys.append(key)
    return keys
