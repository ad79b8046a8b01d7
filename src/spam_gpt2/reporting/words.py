"""What the messages are called: SMS where they are the collection's, else by their file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spam_gpt2.common.project import COLLECTION_PATH
from spam_gpt2.common.secrets import without_secrets
from spam_gpt2.common.text import one_line

SPAM = "spam"


@dataclass(frozen=True)
class Words:
    """How reports speak of the messages; plain text, without markup."""

    is_collection: bool
    is_filter: bool  # of two classes, whose positive one is spam
    source: str  # the collection's name, or the file's
    title: str
    messages: str
    example: str
    found: str  # what becomes of the positive class
    mistaken: str  # what becomes of the other, by mistake


def words(labels: list[str], params: dict[str, Any]) -> Words:
    """Of these classes, in order, and all parameters."""
    is_collection = params["prepare"]["path"] == COLLECTION_PATH
    is_filter = len(labels) == 2 and labels[1].casefold() == SPAM
    file = one_line(Path(without_secrets(params["prepare"]["path"])).name)
    source = "SMS Spam Collection" if is_collection else file
    return Words(
        is_collection=is_collection,
        is_filter=is_filter,
        source=source,
        title="SMS spam" if is_collection else f"{'Spam' if is_filter else 'Messages'} of {file}",
        messages="text messages" if is_collection else f"the messages of {file}",
        example="You have won a £2000 prize, call now" if is_collection else "one of your messages",
        found="caught" if is_filter else "found",
        mistaken="blocked" if is_filter else f"taken for {one_line(labels[-1])}",
    )
