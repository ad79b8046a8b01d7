"""Nested dictionaries, as parameters and metrics are, seen as a flat list of dotted keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def flat(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested dictionaries as dotted keys: `finetune.epochs`."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
