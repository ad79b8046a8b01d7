"""The classes in order, as `data/prepared/labels.json` keeps them."""

from __future__ import annotations

from pathlib import Path

from spam_gpt2.common.validation import Labels, read_checked

LABELS_PATH = Path("data/prepared/labels.json")


def read_labels(path: Path = LABELS_PATH) -> list[str]:
    """Read them. Raises: InputError when they are missing or no list of different texts."""
    return read_checked(path, Labels, "not a list of labels")
